"""What the connections of one worker have in common."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from typing import TYPE_CHECKING

from torchship.serve.board import Row
from torchship.serve.http.head import Heads
from torchship.serve.http.limits import Limits
from torchship.serve.metrics import CONNECTIONS

if TYPE_CHECKING:
    from torchship.serve.http.connection import Connection
    from torchship.serve.http.exchange import Exchange

_READ = 64 * 1024


class Site:
    """The handler of requests, the limits, and the connections that are open.

    All connections read into ``read`` (``scratch`` is a view of it): what is read is parsed before the next one reads.
    """

    def __init__(self, handle: Callable[[Exchange], None], limits: Limits, row: Row) -> None:
        self.handle = handle
        self.limits = limits
        self.row = row
        self.connections: set[Connection] = set()
        self.draining = False
        self.heads = Heads()
        self.read = bytearray(_READ)
        self.scratch = memoryview(self.read)
        self.stamp = b""
        self.tick()

    def tick(self) -> None:
        """Once a second: renews the date that answers bear, and closes the connections that waited too long."""
        self.stamp = f"date: {formatdate(usegmt=True)}\r\nserver: torchship\r\n".encode()
        now = time.monotonic()
        for connection in list(self.connections):
            connection.expire(now)

    def drain(self) -> None:
        """Answer what is under way, each answer the last of its connection; close the others."""
        self.draining = True
        for connection in list(self.connections):
            connection.finish()

    def opened(self, connection: Connection) -> None:
        """Note a new connection."""
        self.connections.add(connection)
        self.row[CONNECTIONS] = len(self.connections)

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self.connections.discard(connection)
        self.row[CONNECTIONS] = len(self.connections)
