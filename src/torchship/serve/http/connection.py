"""One client's connection: requests in their order, each answered before the next is begun."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import httptools

from torchship.serve.http.exchange import Exchange, Part
from torchship.serve.metrics import count_status
from torchship.serve.refusal import Refusal

if TYPE_CHECKING:
    from torchship.serve.http.site import Site

_log = logging.getLogger("torchship.serve")
_REASONS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_JOINED = 64 * 1024  # below this, one copy is cheaper than several buffers
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Phase(Enum):
    """What a connection is waiting for."""

    IDLE = "a request to begin"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    DEAF = "its end: what comes is thrown away"


class Connection(asyncio.BufferedProtocol):
    """Parses requests, and hands them to the site's handler one at a time.

    A body of known length that doesn't come with its head is read from the socket into its place, past the parser.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._transport: asyncio.Transport | None = None
        self._ready: deque[Exchange] = deque()
        self._current: Exchange | None = None
        self._advancing = False
        self._choked = 0.0
        self._phase = Phase.IDLE
        self._since = time.monotonic()
        self._begin()

    def _begin(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._fill: memoryview | None = None
        self._filled = 0
        self._forget()

    def _forget(self) -> None:
        self._begun = False
        self._head_read = 0
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._head_size = 0
        self._parts: list[bytes] = []
        self._size = 0
        self._length = -1
        self._head_done = False
        self._refusal: Refusal | None = None

    # -- asyncio's side -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._transport = cast("asyncio.Transport", transport)
        self._site.opened(self)
        if len(self._site.connections) > self._site.limits.connections:
            self._turn_away(Refusal(503, "too many connections; try again later", headers=b"retry-after: 1\r\n"))
            self._transport.close()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Where to read into: the rest of a body, or what all connections share."""
        if self._fill is not None:
            return self._fill[self._filled :]
        return self._site.scratch

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have come."""
        if self._phase is Phase.DEAF:
            return
        if self._fill is not None:
            self._filled += nbytes
            if self._filled == self._length:
                self._complete(self._fill)
                self._begin()
                self._advance()
            return
        self._feed(self._site.scratch[:nbytes])
        self._advance()

    def eof_received(self) -> None:
        """The client will send no more: it is taken to be gone, as most that do this are, and its work is dropped."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The connection is no more."""
        self._site.closed(self)
        self._transport = None
        self._ready.clear()
        current, self._current = self._current, None
        if current is not None and current.waiter is not None:
            current.waiter.abandon()

    def pause_writing(self) -> None:
        """The client doesn't read its answers."""
        self._choked = time.monotonic()

    def resume_writing(self) -> None:
        """It reads again."""
        self._choked = 0.0
        self._advance()

    # -- the parser's side ----------------------------------------------------------------------------------------

    def _feed(self, data: memoryview) -> None:
        while data:
            self._begun = False
            try:
                self._parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                # Nothing else is spoken here: it is answered as the HTTP request that it also is, and HTTP goes on.
                self._begin()
                data = data[upgrade.args[0] :]
            except httptools.HttpParserError as error:
                self._turn_away(self._refusal or Refusal(400, f"this isn't HTTP/1.1: {error}"))
                return
        self._look_ahead(len(data))

    def _look_ahead(self, fed: int) -> None:
        """Bound a head that doesn't end (the parser keeps it); leave the parser for a body that is yet to come."""
        if self._head_done:
            if self._length > self._size:
                self._fill_from(self._parts)
        elif not self._begun:
            self._head_read += fed
            if self._head_read > self._site.limits.head:
                self._turn_away(_too_long(self._site.limits.head))

    def _fill_from(self, parts: list[bytes]) -> None:
        """Read the rest of the body straight into its place."""
        self._fill = memoryview(bytearray(self._length))
        for part in parts:
            self._fill[self._filled : self._filled + len(part)] = part
            self._filled += len(part)

    def on_message_begin(self) -> None:
        """The first byte of a request has come."""
        self._forget()
        self._begun = True
        self._phase = Phase.HEAD
        self._since = time.monotonic()

    def on_url(self, part: bytes) -> None:
        """The request's target, or a piece of it."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line; those behind a chunked body (trailers) are not looked at."""
        if self._head_done:
            return
        self._head_size += len(name) + len(value) + 4
        name = name.lower()
        headers = self._headers
        headers[name] = headers[name] + b", " + value if name in headers else value
        if self._head_size > self._site.limits.head or len(headers) > self._site.limits.headers:
            self._stop(_too_long(self._site.limits.head))

    def on_headers_complete(self) -> None:
        """The head is whole: is there a reason not to read the body?"""
        self._head_done = True
        self._phase = Phase.BODY
        self._since = time.monotonic()
        headers = self._headers
        length = headers.get(b"content-length")
        if length is not None:
            self._length = int(length)
            if self._length > self._site.limits.body:
                self._stop(_too_large(self._site.limits.body))
        if headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
            self._stop(Refusal(400, "the only transfer encoding that is understood is chunked"))
        if b"host" not in headers and self._parser.get_http_version() != "1.0":
            self._stop(Refusal(400, "the Host header is missing"))
        if b"expect" in headers:
            self._expected(headers[b"expect"])

    def _expected(self, expectation: bytes) -> None:
        if expectation.lower() != b"100-continue":
            self._stop(Refusal(417, "the only expectation that is understood is 100-continue"))
        elif self._transport is not None and self._current is None and not self._ready:
            self._transport.write(_CONTINUE)

    def on_body(self, part: bytes) -> None:
        """A piece of the body."""
        self._size += len(part)
        if self._size > self._site.limits.body:
            self._stop(_too_large(self._site.limits.body))
        self._parts.append(part)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._complete(self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))

    def _complete(self, body: Part) -> None:
        exchange = Exchange(self, self._parser.get_method(), self._target, self._headers)
        exchange.body = body
        exchange.keep_alive = self._parser.should_keep_alive()
        self._ready.append(exchange)
        self._phase = Phase.IDLE
        self._since = time.monotonic()

    def _stop(self, refusal: Refusal) -> None:
        """Leave the parser: it wraps what a callback raises, so the reason is kept aside."""
        self._refusal = refusal
        raise refusal

    # -- answering ------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Begin the next request that has arrived, if none is under way; what is answered at once makes way at once."""
        if self._advancing:
            return
        self._advancing = True
        while self._ready and self._current is None and not self._choked and self._transport is not None:
            self._current = self._ready.popleft()
            self._handle(self._current)
        self._advancing = False
        if self._transport is not None and not self._transport.is_closing():
            if self._ready:  # it sends ahead: let it wait
                self._transport.pause_reading()
            elif not self._transport.is_reading():
                self._transport.resume_reading()

    def _handle(self, exchange: Exchange) -> None:
        try:
            if exchange.refusal is not None:
                raise exchange.refusal
            self._site.handle(exchange)
        except Refusal as refusal:
            exchange.refuse(refusal)
        except Exception:  # noqa: BLE001 - one request's failure harms no other
            _log.exception("answering %s failed", exchange.path.decode("latin-1"))
            if self._current is exchange:
                exchange.refuse(Refusal(500, "the server failed on this request; its log says why"))

    def _turn_away(self, refusal: Refusal) -> None:
        """Answer what can't be read on, after what came before it, and hear no more."""
        self._phase = Phase.DEAF
        self._since = time.monotonic()
        self._fill = None
        exchange = Exchange(self, b"", b"", {})
        exchange.refusal = refusal
        exchange.keep_alive = False
        self._ready.append(exchange)
        self._advance()

    def send(self, status: int, kind: bytes, parts: Sequence[Part], headers: bytes) -> None:
        """Send the answer to the current request."""
        current, self._current = self._current, None
        if current is None or self._transport is None:
            return
        site = self._site
        count_status(site.row, status)
        keep = current.keep_alive and not site.draining
        size = sum(map(len, parts)) if len(parts) > 1 else len(parts[0])
        head = b"%bcontent-type: %b\r\n%b%b%bcontent-length: %d\r\n\r\n" % (
            _REASONS[status], kind, site.stamp, headers, b"" if keep else b"connection: close\r\n", size,
        )  # fmt: skip
        if current.method == b"HEAD":
            self._transport.write(head)
        elif size < _JOINED:
            self._transport.write(b"".join((head, *parts)))
        else:
            self._transport.writelines((head, *parts))
        if not keep:
            self._close()
        else:
            self._since = time.monotonic()
            if not self._advancing:
                self._advance()

    def _close(self) -> None:
        """Close when all is written; a client that was cut short in sending gets the time to read why."""
        self._ready.clear()
        if self._transport is None:
            return
        if self._phase is Phase.DEAF and self._transport.can_write_eof():
            self._transport.write_eof()
            self._transport.resume_reading()
        else:
            self._transport.close()

    # -- time and the end -----------------------------------------------------------------------------------------

    def expire(self, now: float) -> None:
        """Close it if it kept the server waiting for too long."""
        limits = self._site.limits
        if self._transport is None:
            return
        if self._choked and now - self._choked > limits.patience:
            self._transport.abort()
            return
        if self._current is not None or self._ready:
            return
        waited = now - self._since
        if self._phase is Phase.IDLE and waited > limits.idle:
            self._transport.close()
        elif self._phase is Phase.DEAF and waited > limits.linger:
            self._transport.abort()
        elif self._phase is Phase.HEAD and waited > limits.patience:
            self._turn_away(Refusal(408, f"the head of the request took more than {limits.patience:.0f} s"))
        elif self._phase is Phase.BODY and waited > limits.patience + max(self._size, self._filled) / limits.pace:
            self._turn_away(Refusal(408, f"the body came slower than {limits.pace} bytes a second"))

    def finish(self) -> None:
        """The server ends: close it now if nothing of it is under way."""
        if self._current is None and not self._ready and self._phase is Phase.IDLE and self._transport is not None:
            self._transport.close()


def _too_large(limit: int) -> Refusal:
    return Refusal(413, f"the body is larger than {limit} bytes")


def _too_long(limit: int) -> Refusal:
    return Refusal(431, f"the head of the request is longer than {limit} bytes, or has too many lines")
