"""What the connections of one worker have in common."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import TYPE_CHECKING

from torchship.serve.board import Row
from torchship.serve.metrics import CONNECTIONS

if TYPE_CHECKING:
    from torchship.serve.http.connection import Connection
    from torchship.serve.http.exchange import Exchange

_READ = 64 * 1024


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a client may do to a worker. Times are seconds, sizes bytes.

    ``pace``: bytes a second that a body must come at on the average, once ``patience`` has passed.
    ``linger``: how long what a refused client still sends is read and thrown away, so that it gets to read why.
    """

    body: int
    head: int = 32 * 1024
    headers: int = 100
    connections: int = 4096
    idle: float = 75.0
    patience: float = 20.0
    pace: int = 8 * 1024
    linger: float = 10.0


class Site:
    """The handler of requests, the limits, and the connections that are open.

    ``scratch`` is what all connections read into: what is read is parsed before the next one reads.
    """

    def __init__(self, handle: Callable[[Exchange], None], limits: Limits, row: Row) -> None:
        self.handle = handle
        self.limits = limits
        self.row = row
        self.connections: set[Connection] = set()
        self.draining = False
        self.scratch = memoryview(bytearray(_READ))
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
