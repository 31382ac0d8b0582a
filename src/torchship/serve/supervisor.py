"""The parent of the workers: it owns the socket, and starts, watches and ends them. It imports and holds little.

It forks before anything heavy is imported, so that its own memory is that of a bare interpreter and there is no thread
yet that a fork could cut off.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
import time
from collections.abc import Callable

from torchship.errors import WorkerError
from torchship.measure.cores import cores
from torchship.serve import listener as listening
from torchship.serve import metrics
from torchship.serve.board import Board
from torchship.serve.control import Channel, Drain, Failed, Message, Open, Ready
from torchship.serve.settings import ServeSettings
from torchship.serve.signals import Signals

_AUTOMATIC = 4  # workers at most where nobody says how many: each takes memory
_STEADY = 10.0  # seconds after which a worker's death isn't put down to its start
_BACKOFF = (0.0, 0.1, 0.5, 1.0, 5.0)
_GRACE = 2.0


class _Child:
    """A worker as the supervisor knows it."""

    def __init__(self, slot: int, pid: int, channel: Channel) -> None:
        self.slot = slot
        self.pid = pid
        self.channel = channel
        self.born = time.monotonic()
        self.ready = False


class Supervisor:
    """``announce`` gets the URL and the first worker's words once the server answers; ``note`` what happens later."""

    def __init__(
        self, settings: ServeSettings, announce: Callable[[str, Ready], None], note: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._announce = announce
        self._note = note
        self._board = Board(settings.workers or min(cores(), _AUTOMATIC), metrics.CELLS)
        self._children: dict[int, _Child] = {}
        self._due: dict[int, float] = {}
        self._failures = [0] * self._board.rows
        self._opened = False
        self._endings = 0

    def run(self) -> int:
        """Serve until a signal ends it; give the exit status.

        Raises:
            TorchshipError: the port can't be had, or the first worker can't serve the bundle.
        """
        self._listener = listening.reserve(self._settings.host, self._settings.port)
        self._selector = selectors.DefaultSelector()
        with self._listener, self._selector, Signals() as self._signals:
            self._selector.register(self._signals, selectors.EVENT_READ)
            try:
                for slot in range(self._settings.workers or 1):
                    self._start(slot)
                while not self._endings:
                    self._step()
                self._drain()
            finally:
                self._kill()
        return 0

    # -- starting -------------------------------------------------------------------------------------------------

    def _start(self, slot: int) -> None:
        mine, theirs = Channel.pair()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            mine.close()
            self._become_worker(slot, theirs)
        theirs.close()
        child = _Child(slot, pid, mine)
        self._children[slot] = child
        self._selector.register(mine, selectors.EVENT_READ, child)

    def _become_worker(self, slot: int, channel: Channel) -> None:
        """Never comes back: the supervisor's stack, and what it would clean up, are none of a worker's business."""
        status = 1
        try:
            self._signals.forget()
            self._selector.close()
            for child in self._children.values():
                child.channel.close()
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's own threads would only take memory
            from torchship.serve.worker import Worker

            status = Worker(self._settings, self._listener, channel, self._board, slot).run()
        except BaseException:  # noqa: BLE001 - nothing above may see it
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    # -- watching -------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        """Wait for something to happen, and see to it."""
        now = time.monotonic()
        for slot in [slot for slot, due in self._due.items() if due <= now]:
            del self._due[slot]
            self._start(slot)
        timeout = min(self._due.values()) - now if self._due else None
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._signals:
                self._endings += self._signals.take()
            else:
                self._hear(key.data)

    def _hear(self, child: _Child) -> None:
        messages = child.channel.receive()
        if messages is None:
            self._lost(child)
            return
        for message in messages:
            self._take_in(child, message)

    def _take_in(self, child: _Child, message: Message) -> None:
        if isinstance(message, Ready):
            child.ready = True
            if not self._opened:
                self._open(message)
            child.channel.send(Open())
        elif isinstance(message, Failed):
            if not self._opened:
                raise message.error()
            self._note(f"worker {child.pid} can't serve: {message.what}")

    def _open(self, first: Ready) -> None:
        """The model was loaded and answers: now clients may come."""
        listening.open_up(self._listener)
        self._opened = True
        self._announce(listening.url(self._listener), first)
        if first.quick:
            for slot in range(self._board.rows):
                if slot not in self._children:
                    self._start(slot)

    def _lost(self, child: _Child) -> None:
        """A worker has ended: another takes its place."""
        told = self._bury(child)
        if self._endings:
            return
        if not self._opened:
            raise WorkerError(f"the worker {told} before it could serve", hint="try --workers 1, or more memory")
        young = time.monotonic() - child.born < _STEADY
        self._failures[child.slot] = self._failures[child.slot] + 1 if young else 0
        wait = _BACKOFF[min(self._failures[child.slot], len(_BACKOFF) - 1)]
        self._due[child.slot] = time.monotonic() + wait
        self._board.row(child.slot)[metrics.RESTARTS] += 1
        self._note(f"worker {child.pid} {told}; another takes its place")

    def _bury(self, child: _Child) -> str:
        """Take a dead worker's traces away; say how it ended."""
        self._selector.unregister(child.channel)
        child.channel.close()
        del self._children[child.slot]
        row = self._board.row(child.slot)
        for cell in metrics.STATES:
            row[cell] = 0
        status = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
        return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"

    # -- ending ---------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Have the workers answer what is under way; a second signal cuts that short."""
        self._listener.close()
        for child in self._children.values():
            if child.ready:
                child.channel.send(Drain())
            else:
                os.kill(child.pid, signal.SIGTERM)
        self._due.clear()
        until = time.monotonic() + self._settings.drain + _GRACE
        while self._children and self._endings < 2 and (left := until - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                if key.fileobj is self._signals:
                    self._endings += self._signals.take()
                else:
                    self._hear(key.data)

    def _kill(self) -> None:
        for child in list(self._children.values()):
            os.kill(child.pid, signal.SIGKILL)
            self._bury(child)
