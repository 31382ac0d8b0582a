"""Where the work lies while ``ship`` runs: a scratch folder, the workers alive, and who is told of progress."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import TracebackType

from torchship.worker.process import Worker

_LONGEST_LOG = 1_000_000  # characters
Tell = Callable[[str, str], None]  # (target or stage, what is happening)


def silent(_who: str, _what: str) -> None:
    """Tell nobody."""


class Workshop:
    """Left for whatever reason, no worker is alive and no scratch file is there any more."""

    def __init__(self, tell: Tell = silent, timeout: float = 600.0) -> None:
        self.tell = tell
        self.timeout = timeout
        self._alive: list[Worker] = []
        self._lock = threading.Lock()
        self._count = count()

    def __enter__(self) -> Workshop:
        self._folder = tempfile.TemporaryDirectory(prefix="torchship-")
        self.root = Path(self._folder.name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            alive, self._alive = self._alive, []
        for worker in alive:
            worker.close()
        self._folder.cleanup()

    def worker(self, name: str) -> Worker:
        """Start a worker; its log is ``logs/NAME-N.log``."""
        logs = self.root / "logs"
        logs.mkdir(exist_ok=True)
        worker = Worker(logs / f"{name}-{next(self._count)}.log", scratch=self.folder("scratch"))
        with self._lock:
            self._alive.append(worker)
        return worker

    def log(self, *names: str) -> str:
        """What the workers of these names printed, one after the other; the oldest is cut off where it is long."""
        logs = [path for name in names for path in sorted((self.root / "logs").glob(f"{name}-[0-9]*.log"))]
        told = "".join(path.read_text(errors="replace") for path in logs)
        return told[-_LONGEST_LOG:]

    def folder(self, *parts: str) -> Path:
        """Make a scratch folder."""
        made = self.root.joinpath(*parts)
        made.mkdir(parents=True, exist_ok=True)
        return made
