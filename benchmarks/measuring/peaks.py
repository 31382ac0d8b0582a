"""The most memory that each process of ``ship`` held, by what it did."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from types import TracebackType

import psutil

from measuring.processes import tree

_LOOK = 0.1  # seconds between two looks


class Peaks:
    """Looks on while it is entered. ``megabytes``: the peak of any one process, by the name of its worker's log.

    The kernel keeps each process's peak itself (VmHWM), so that what comes and goes between two looks isn't missed.
    """

    def __init__(self, pid: int) -> None:
        self.megabytes: dict[str, float] = {}
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on)

    def __enter__(self) -> Peaks:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look_on(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):  # the root itself
            while not self._over.wait(_LOOK):
                for process in tree(self._pid):
                    self._look(process)

    def _look(self, process: psutil.Process) -> None:
        try:
            name, peak = _name(process), _peak_mb(process.pid)
        except (OSError, psutil.Error):  # it ended since
            return
        self.megabytes[name] = max(peak, self.megabytes.get(name, 0.0))


def _name(process: psutil.Process) -> str:
    """``convert-onnx-export-1``: a worker's stderr, and that of what it starts, is a log that is called so."""
    log = Path(f"/proc/{process.pid}/fd/2").readlink()
    return log.stem if log.parent.name == "logs" else process.name()


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6
