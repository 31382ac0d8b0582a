"""A site on a free port, and clients that send raw bytes to it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable

from torchship.serve import metrics
from torchship.serve.board import Board
from torchship.serve.http import Connection, Exchange, Limits, Site

LIMITS = Limits(body=100_000, head=4096, headers=20, connections=3, idle=0.3, patience=0.3, pace=1_000_000, linger=0.3)


class Backend:
    """Answers with what it got; ``/wait`` when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[Exchange] = []
        self.abandoned = 0

    def handle(self, exchange: Exchange) -> None:
        if exchange.head.path == b"/wait":
            exchange.waiter = self
            self.waiting.append(exchange)
        elif exchange.head.path == b"/fail":
            raise ZeroDivisionError
        else:
            told = b"%b %b?%b %d" % (exchange.head.method, exchange.head.path, exchange.head.query, len(exchange.body))
            exchange.reply(200, b"text/plain", (told, b"|", bytes(exchange.body[:9])))

    def abandon(self) -> None:
        self.abandoned += 1


class Client:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, bytes, bytes]:
        """Status, head and body of the next answer."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        length = int(re.search(rb"content-length: (\d+)", head)[1])
        return int(head.split()[1]), head, await self.reader.readexactly(length)

    async def closed(self) -> bool:
        """Whether the server ends the connection soon, having sent no more."""
        try:
            return await asyncio.wait_for(self.reader.read(1), 3) == b""
        except ConnectionResetError:
            return True


class Bench:
    """A site on a free port."""

    def __init__(self) -> None:
        self.backend = Backend()
        self.row = Board(1, metrics.CELLS).row(0)
        self.site = Site(self.backend.handle, LIMITS, self.row)
        self.clients: list[Client] = []

    async def client(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        return client

    async def ask(self, data: bytes) -> tuple[int, bytes, bytes]:
        client = await self.client()
        client.send(data)
        return await client.answer()


@contextlib.asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(made.site), "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.05)
            made.site.tick()

    ticking = asyncio.create_task(tick())
    try:
        yield made
    finally:
        ticking.cancel()
        server.close()
        for client in made.clients:
            client.writer.close()
        for _ in range(100):
            if not made.site.connections:
                break
            await asyncio.sleep(0.02)
        await server.wait_closed()
    assert not made.site.connections
    assert made.row[metrics.CONNECTIONS] == 0


def run(test: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        async with bench() as made:
            await asyncio.wait_for(test(made), 20)

    asyncio.run(main())


def post(body: bytes, headers: bytes = b"") -> bytes:
    return b"POST /a?b=c HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b" % (headers, len(body), body)
