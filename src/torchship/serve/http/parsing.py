"""From bytes to whole requests: llhttp finds heads and chunks, with limits around it."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import httptools

from torchship.serve.http.exchange import Part
from torchship.serve.http.head import Head, Heads
from torchship.serve.http.limits import Limits
from torchship.serve.refusal import Refusal

_END = b"\r\n\r\n"


class Phase(Enum):
    """What of a request has come."""

    IDLE = "nothing"
    HEAD = "a piece of its head"
    BODY = "its head"


class RequestParser:
    """Hands each whole request to ``take``; calls ``proceed`` where a client waits to be asked for the body.

    Two ways lead past llhttp. A head that was met before, byte for byte, needs no parsing. And a body of known length
    that doesn't come with its head is read from the socket into its place (``rest``).
    """

    def __init__(
        self, limits: Limits, heads: Heads, take: Callable[[Head, Part], None], proceed: Callable[[], None]
    ) -> None:
        self._limits = limits
        self._heads = heads
        self._take = take
        self._proceed = proceed
        self._llhttp: httptools.HttpRequestParser | None = None
        self._fill: memoryview | None = None
        self._filled = 0
        self._open = False
        self._last = False
        self.begun = 0
        self._forget()

    def _forget(self) -> None:
        self._head: Head | None = None
        self._head_read = 0
        self._head_size = 0
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._parts: list[bytes] = []
        self._size = 0
        self._plain = False
        self._refusal: Refusal | None = None

    @property
    def phase(self) -> Phase:
        """Where the request that is under way stands."""
        if not self._open:
            return Phase.IDLE
        return Phase.HEAD if self._head is None else Phase.BODY

    @property
    def received(self) -> int:
        """Bytes of the body that have come."""
        return self._size if self._fill is None else self._filled

    # -- reading --------------------------------------------------------------------------------------------------

    def rest(self) -> memoryview | None:
        """Where the rest of a body is to be read to; None where bytes are to be fed."""
        return None if self._fill is None else self._fill[self._filled :]

    def rest_read(self, count: int) -> None:
        """So many bytes were read to where ``rest`` said."""
        assert self._fill is not None
        assert self._head is not None
        self._filled += count
        if self._filled == self._head.length:
            head, body = self._head, self._fill
            self._fill = None
            self._open = False
            self._forget()
            self._take(head, body)

    def feed(self, read: bytearray, view: memoryview, stop: int) -> None:
        """Parse what was read, up to ``stop``; ``view`` is of ``read``.

        Raises:
            Refusal: it can't be understood, or is too much. There is no going on after that.
        """
        if self._last and not self._open:
            self._nothing_more(view[:stop])
            return
        at = 0
        raw = None
        while at < stop and not self._open and not self._last:
            end = read.find(_END, at, stop) + len(_END)
            if end < len(_END):
                break
            raw = bytes(view[at:end])
            head = self._heads.get(raw)
            if head is None:
                break
            at = min(stop, end + head.length)
            self._known(head, view[end:at])
        if at < stop:
            self._parse(view[at:stop], raw)

    def _nothing_more(self, data: memoryview) -> None:
        if bytes(data).strip(b"\r\n"):
            raise Refusal(400, "something follows the request that was to be the connection's last")

    def _known(self, head: Head, body: memoryview) -> None:
        if len(body) == head.length:
            self._take(head, bytes(body))
        else:
            self.begun += 1
            self._begin_fill(head, [bytes(body)])

    def _begin_fill(self, head: Head, parts: list[bytes]) -> None:
        self._open = True
        self._head = head
        self._llhttp = None  # it knows nothing of what is read past it
        self._fill = memoryview(bytearray(head.length))
        self._filled = 0
        for part in parts:
            self._fill[self._filled : self._filled + len(part)] = part
            self._filled += len(part)

    # -- llhttp ---------------------------------------------------------------------------------------------------

    def _parse(self, data: memoryview, raw: bytes | None) -> None:
        """``raw``: the head that ``data`` begins with, if it begins with one, as far as can be seen."""
        before, fed = self.begun, len(data)
        while data:
            if self._llhttp is None:
                self._llhttp = httptools.HttpRequestParser(self)
            try:
                self._llhttp.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                # Nothing else is spoken here: it is answered as the HTTP request that it also is, and HTTP goes on.
                self._llhttp = None
                data = data[upgrade.args[0] :]
            except httptools.HttpParserError as error:
                raise (self._refusal or Refusal(400, f"this isn't HTTP/1.1: {error}")) from None
        started = self.begun - before
        # What llhttp took for the head must be what was seen as one, or the memory would hold a lie.
        if raw and self._head and self._plain and started == 1 and len(raw) + self._size == fed:
            self._heads.put(raw, self._head)
        if self._open:
            self._look_ahead(fed, started)

    def _look_ahead(self, fed: int, started: int) -> None:
        if self._head is not None:
            if self._head.length > self._size:
                self._begin_fill(self._head, self._parts)
        elif not started:  # llhttp keeps a head that doesn't end
            self._head_read += fed
            if self._head_read > self._limits.head:
                raise _too_long(self._limits)

    def on_message_begin(self) -> None:
        """The first byte of a request has come."""
        self._forget()
        self._open = True
        self.begun += 1

    def on_url(self, part: bytes) -> None:
        """The request's target, or a piece of it."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line; those behind a chunked body (trailers) are not looked at."""
        if self._head is not None:
            return
        self._head_size += len(name) + len(value) + 4
        name = name.lower()
        headers = self._headers
        headers[name] = headers[name] + b", " + value if name in headers else value
        if self._head_size > self._limits.head or len(headers) > self._limits.headers:
            self._stop(_too_long(self._limits))

    def on_headers_complete(self) -> None:
        """The head is whole: is there a reason not to read the body?"""
        assert self._llhttp is not None
        headers = self._headers
        length = int(headers.get(b"content-length", b"0"))
        if length > self._limits.body:
            self._stop(_too_large(self._limits))
        if headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
            self._stop(Refusal(400, "the only transfer encoding that is understood is chunked"))
        if b"host" not in headers and self._llhttp.get_http_version() != "1.0":
            self._stop(Refusal(400, "the Host header is missing"))
        method, keep_alive = self._llhttp.get_method(), self._llhttp.should_keep_alive()
        self._head = Head(method, self._target, headers, length, keep_alive)
        self._last = not keep_alive
        odd = b"transfer-encoding" in headers or b"expect" in headers or self._llhttp.should_upgrade()
        self._plain = keep_alive and not odd
        if b"expect" in headers:
            if headers[b"expect"].lower() != b"100-continue":
                self._stop(Refusal(417, "the only expectation that is understood is 100-continue"))
            self._proceed()

    def on_body(self, part: bytes) -> None:
        """A piece of the body."""
        self._size += len(part)
        if self._size > self._limits.body:
            self._stop(_too_large(self._limits))
        self._parts.append(part)

    def on_message_complete(self) -> None:
        """The request is whole."""
        assert self._head is not None
        self._open = False
        self._take(self._head, self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))

    def _stop(self, refusal: Refusal) -> None:
        """Leave llhttp: its binding wraps what a callback raises, so the reason is kept aside."""
        self._refusal = refusal
        raise refusal


def _too_large(limits: Limits) -> Refusal:
    return Refusal(413, f"the body is larger than {limits.body} bytes")


def _too_long(limits: Limits) -> Refusal:
    return Refusal(431, f"the head of the request is longer than {limits.head} bytes, or has too many lines")
