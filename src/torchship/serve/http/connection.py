"""One client's connection: requests in their order, each answered before the next is begun."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from torchship.serve.http.exchange import Exchange, Part
from torchship.serve.http.head import Head
from torchship.serve.http.parsing import Phase, RequestParser
from torchship.serve.metrics import count_status
from torchship.serve.refusal import Refusal

if TYPE_CHECKING:
    from torchship.serve.http.site import Site

_log = logging.getLogger("torchship.serve")
_REASONS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_JOINED = 64 * 1024  # below this, one copy is cheaper than several buffers
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_UNREADABLE = Head(b"", b"", {}, keep_alive=False)


class Connection(asyncio.BufferedProtocol):
    """Hands requests to the site's handler, one at a time.

    ``refusal``: why it can't be read on; once it is sent, what still comes is thrown away.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._parser = RequestParser(site.limits, site.heads, self._take, self._proceed)
        self._transport: asyncio.Transport | None = None
        self._ready: deque[Exchange] = deque()
        self._current: Exchange | None = None
        self._advancing = False
        self._refusal: Refusal | None = None
        self._choked = 0.0
        self._begun = 0
        self._since = time.monotonic()

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
        return self._parser.rest() or self._site.scratch

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have come."""
        parser, site = self._parser, self._site
        if self._refusal is not None:
            return
        try:
            if parser.rest() is not None:
                parser.rest_read(nbytes)
            else:
                parser.feed(site.read, site.scratch, nbytes)
        except Refusal as refusal:
            self._turn_away(refusal)
            return
        if parser.begun != self._begun:
            self._begun = parser.begun
            self._since = time.monotonic()
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

    # -- requests -------------------------------------------------------------------------------------------------

    def _take(self, head: Head, body: Part) -> None:
        """A request is whole."""
        self._ready.append(Exchange(self, head, body))

    def _proceed(self) -> None:
        """A client waits to be asked for the body; where others come first, it may wait on, as the protocol has it."""
        if self._transport is not None and self._current is None and not self._ready:
            self._transport.write(_CONTINUE)

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
            if exchange.head is _UNREADABLE and self._refusal is not None:
                raise self._refusal
            self._site.handle(exchange)
        except Refusal as refusal:
            exchange.refuse(refusal)
        except Exception:  # noqa: BLE001 - one request's failure harms no other
            _log.exception("answering %s failed", exchange.head.path.decode("latin-1"))
            if self._current is exchange:
                exchange.refuse(Refusal(500, "the server failed on this request; its log says why"))

    def _turn_away(self, refusal: Refusal) -> None:
        """Answer what can't be read on, after what came before it, and hear no more."""
        self._refusal = refusal
        self._since = time.monotonic()
        self._take(_UNREADABLE, b"")
        self._advance()

    # -- answers --------------------------------------------------------------------------------------------------

    def send(self, status: int, kind: bytes, parts: Sequence[Part], headers: bytes) -> None:
        """Send the answer to the current request."""
        current, self._current = self._current, None
        if current is None or self._transport is None:
            return
        site = self._site
        count_status(site.row, status)
        keep = current.head.keep_alive and not site.draining
        size = sum(map(len, parts)) if len(parts) > 1 else len(parts[0])
        head = b"%bcontent-type: %b\r\n%b%b%bcontent-length: %d\r\n\r\n" % (
            _REASONS[status], kind, site.stamp, headers, b"" if keep else b"connection: close\r\n", size,
        )  # fmt: skip
        if current.head.method == b"HEAD":
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
        if self._refusal is not None and self._transport.can_write_eof():
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
        waited, phase = now - self._since, self._parser.phase
        if self._refusal is not None:
            if waited > limits.linger:
                self._transport.abort()
        elif phase is Phase.IDLE and waited > limits.idle:
            self._transport.close()
        elif phase is Phase.HEAD and waited > limits.patience:
            self._turn_away(Refusal(408, f"the head of the request took more than {limits.patience:.0f} s"))
        elif phase is Phase.BODY and waited > limits.patience + self._parser.received / limits.pace:
            self._turn_away(Refusal(408, f"the body came slower than {limits.pace} bytes a second"))

    def finish(self) -> None:
        """The server ends: close it now if nothing of it is under way."""
        idle = self._parser.phase is Phase.IDLE or self._refusal is not None
        if idle and self._current is None and not self._ready and self._transport is not None:
            self._transport.close()
