"""Signals as something that a selector can wait for."""

from __future__ import annotations

import signal
import socket
from types import FrameType, TracebackType

ENDING = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """While it is entered, the signals that end a server are counted instead of ending it at once."""

    def __init__(self) -> None:
        self._wake, self._woken = socket.socketpair()
        for end in (self._wake, self._woken):
            end.setblocking(False)

    def fileno(self) -> int:
        """For selectors: readable once a signal has come."""
        return self._woken.fileno()

    def take(self) -> int:
        """How many signals that end the server have come since this was last asked."""
        try:
            return sum(number in ENDING for number in self._woken.recv(64))
        except BlockingIOError:
            return 0

    def __enter__(self) -> Signals:
        self._before = {number: signal.signal(number, _leave_it_to_the_selector) for number in ENDING}
        self._waker = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._waker)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._wake.close()
        self._woken.close()

    def forget(self) -> None:
        """In a forked worker: Ctrl-C, which a terminal sends to all, is the supervisor's to act on."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._wake.close()
        self._woken.close()


def _leave_it_to_the_selector(number: int, frame: FrameType | None) -> None:
    """A handler of Python's own has to be there for the wakeup socket to be written to."""
