"""Where batches run: in the event loop itself, or in threads beside it.

A quick model runs in the loop: handing a batch to a thread and back costs more than it takes. A slow one would keep the
loop from answering health checks and refusing what is too much, so it gets threads, which share one session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

Job = Callable[[], None]


class Lanes(Protocol):
    """``beside``: whether the event loop goes on while a job runs."""

    beside: bool

    @property
    def free(self) -> bool:
        """Whether a job would begin at once."""
        ...

    def run(self, job: Job, done: Job) -> None:
        """Run ``job`` (which raises nothing), then ``done`` on the event loop."""
        ...

    def close(self) -> None:
        """Wait for the jobs that run, and begin no more."""
        ...


class InLoop:
    """One at a time, in the loop."""

    beside = False
    free = True

    def run(self, job: Job, done: Job) -> None:
        """Run both."""
        job()
        done()

    def close(self) -> None:
        """There is nothing to wait for."""


class InThreads:
    """``count`` at a time, each in a thread."""

    beside = True

    def __init__(self, count: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(count, "session")
        self._left = count

    @property
    def free(self) -> bool:
        """Whether a thread has nothing to do."""
        return self._left > 0

    def run(self, job: Job, done: Job) -> None:
        """Run ``job`` in a thread."""
        self._left -= 1
        self._threads.submit(self._run, job, done)

    def _run(self, job: Job, done: Job) -> None:
        job()
        self._loop.call_soon_threadsafe(self._done, done)

    def _done(self, done: Job) -> None:
        self._left += 1
        done()

    def close(self) -> None:
        """Wait for the jobs that run."""
        self._threads.shutdown(wait=True)
