"""A worker: one process that holds the model and answers."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket

from torchship.serve.accept import Acceptor
from torchship.serve.board import Board
from torchship.serve.control import Channel, Drain, Failed, Open, Ready
from torchship.serve.http import Connection, Limits, Site
from torchship.serve.metrics import READY
from torchship.serve.model import ServedModel
from torchship.serve.resources import routes
from torchship.serve.settings import ServeSettings

_log = logging.getLogger("torchship.serve")
_POLL = 0.02
BROKEN = 70  # EX_SOFTWARE of sysexits.h


class Worker:
    """Serves one model until it is told to drain, or the supervisor is gone."""

    def __init__(
        self, settings: ServeSettings, listener: socket.socket, channel: Channel, board: Board, slot: int
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._channel = channel
        self._board = board
        self._slot = slot
        self._row = board.row(slot)
        self._acceptor: Acceptor | None = None
        self._status = 0

    def run(self) -> int:
        """Load, serve, drain; give the exit status. A model that can't be served is told to the supervisor."""
        try:
            model = ServedModel(self._settings)
        except Exception as error:  # noqa: BLE001 - the supervisor tells the user
            self._channel.send(Failed.of(error))
            return 1
        gc.collect()
        gc.freeze()  # what was loaded stays: no collection has to look at it again
        asyncio.run(self._serve(model))
        model.close()
        return self._status

    async def _serve(self, model: ServedModel) -> None:
        loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        model.open(self._settings, self._board, self._row, self._broken)
        table = routes(model, self._settings, self._board, self._row, lambda: bool(self._row[READY]))
        limits = Limits(body=self._settings.max_body, connections=self._settings.max_connections)
        self._site = Site(table.handle, limits, self._row)
        loop.add_signal_handler(signal.SIGTERM, self._ending.set)
        loop.add_reader(self._channel, self._hear)
        shipped = model.shipped
        self._channel.send(Ready(shipped.artifact.name, model.pace.quick, model.rows, shipped.notes))
        ticking = loop.create_task(self._tick())
        await self._ending.wait()
        ticking.cancel()
        await self._drain(model)

    def _hear(self) -> None:
        """Do as the supervisor says; where it is gone, end too."""
        for message in self._channel.receive() or [Drain()]:
            if isinstance(message, Open):
                self._row[READY] = 1
                self._acceptor = Acceptor(self._listener, lambda: Connection(self._site), self._board, self._slot)
            elif isinstance(message, Drain):
                self._ending.set()

    def _broken(self, error: Exception) -> None:
        _log.error("the model stopped answering: %s", error)
        self._status = BROKEN
        self._ending.set()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._site.tick()

    async def _drain(self, model: ServedModel) -> None:
        """Take no more connections; answer what is under way."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._channel)
        self._row[READY] = 0
        if self._acceptor is not None:
            self._acceptor.close()
        self._site.drain()
        until = loop.time() + self._settings.drain
        while self._site.connections and loop.time() < until:
            await asyncio.sleep(_POLL)
            self._site.tick()
        model.batcher.close()
