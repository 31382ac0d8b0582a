"""A child never outlives its parent, and is never without bounds."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys

DUMP_SIGNAL = signal.SIGUSR1
_PR_SET_PDEATHSIG = 1


def tell_where() -> None:
    """Write the stack to stderr when the process crashes, and whenever the parent asks with ``DUMP_SIGNAL``."""
    faulthandler.enable()
    faulthandler.register(DUMP_SIGNAL, all_threads=False)


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent goes; elsewhere the closed pipe ends it between jobs."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before we asked
        os.kill(os.getpid(), signal.SIGKILL)
