"""Accepts connections, such that they are spread evenly over the workers.

All workers wait on one socket. The one that is awake takes the next connection, and whoever has more connections than
another leaves it to that one for a moment: connections are kept, so where they begin decides who works.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from torchship.serve.board import Board
from torchship.serve.metrics import CONNECTIONS, READY

_log = logging.getLogger("torchship.serve")
_MOMENT = 0.002
_EXHAUSTED = 0.5


class Acceptor:
    """Makes a protocol of each connection; ``slot`` is this worker's row of the board."""

    def __init__(
        self, listener: socket.socket, protocol: Callable[[], asyncio.BaseProtocol], board: Board, slot: int
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._protocol = protocol
        self._board = board
        self._slot = slot
        self._tasks: set[asyncio.Task[object]] = set()
        self._open = True
        listener.setblocking(False)
        self._wait()

    def close(self) -> None:
        """Accept no more."""
        self._open = False
        self._loop.remove_reader(self._listener)

    def _wait(self) -> None:
        if self._open:
            self._loop.add_reader(self._listener, self._awake)

    def _awake(self) -> None:
        if self._others_are_freer():
            self._loop.remove_reader(self._listener)
            self._loop.call_later(_MOMENT, self._take_and_wait)
        else:
            self._take()

    def _others_are_freer(self) -> bool:
        connections = self._board.column(CONNECTIONS)
        ready = self._board.column(READY)
        mine = connections[self._slot]
        return any(is_ready and theirs < mine for theirs, is_ready in zip(connections, ready, strict=True))

    def _take_and_wait(self) -> None:
        if self._open:
            self._take()
            self._wait()

    def _take(self) -> None:
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:  # no more files or memory: those that wait have to go on waiting
            _log.error("can't accept a connection: %s", error)
            self._loop.remove_reader(self._listener)
            self._loop.call_later(_EXHAUSTED, self._wait)
            return
        client.setblocking(False)
        task: asyncio.Task[object] = self._loop.create_task(self._connect(client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, client: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, client)
        except OSError as error:  # gone before it began
            _log.debug("a connection ended at once: %s", error)
            client.close()
