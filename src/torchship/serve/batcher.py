"""Natural batching: what waits when a session gets free is the next batch. There is no timer.

Clipper and Triton wait a while for a batch to fill; here nothing waits that could run. Under load batches fill by
themselves, as requests gather while the batch before runs.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math
from collections import deque
from collections.abc import Callable
from functools import partial
from time import perf_counter_ns

from torchship.serve import metrics
from torchship.serve.batch import Batch, Infer
from torchship.serve.board import Board, Row
from torchship.serve.lanes import Lanes
from torchship.serve.refusal import Refusal
from torchship.serve.work import Pieces, Work
from torchship.targets import Array

_log = logging.getLogger("torchship.serve")
_LOOK = 0.02  # seconds between two looks for deadlines that have passed


@dataclasses.dataclass(frozen=True)
class Policy:
    """``batched``: whether works may be joined. ``rows``: of a batch at most; ``queue``: works that may wait in all."""

    batched: bool
    rows: int
    queue: int


class Batcher:
    """One model's queue. All of it runs on the event loop, but for the model itself where ``lanes`` are threads.

    ``sample`` is an input that the model is known to answer. ``broken`` is called once the model fails on it too.
    """

    def __init__(
        self,
        infer: Infer,
        sample: list[Array],
        policy: Policy,
        lanes: Lanes,
        board: Board,
        row: Row,
        broken: Callable[[Exception], None],
    ) -> None:
        self._infer = infer
        self._sample = sample
        self._policy = policy
        self._lanes = lanes
        self._board = board
        self._row = row
        self._broken = broken
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Work] = deque()
        self._running: set[Batch] = set()
        self._scheduled = False
        self._looking = False
        self._pace = 0.0  # seconds a work takes, a moving average

    @property
    def idle(self) -> bool:
        """Whether nothing waits or runs."""
        return not self._waiting and not self._running

    def admit(self) -> None:
        """Raise Refusal (429) where too much waits already. To be asked before anything is spent on a request."""
        waiting = self._board.total(metrics.WAITING)
        if waiting >= self._policy.queue:
            self._row[metrics.DROPPED_FULL] += 1
            workers = max(1, self._board.total(metrics.READY))
            seconds = max(1, math.ceil(waiting * self._pace / workers))
            raise Refusal(
                429, f"{waiting} requests wait already; try again later", headers=b"retry-after: %d\r\n" % seconds
            )

    def submit(self, work: Work) -> None:
        """Let a work wait for its turn."""
        if self._policy.batched and work.rows > self._policy.rows:
            work = Pieces(work, self._policy.rows, self._enqueue)
        self._enqueue(work)

    def _enqueue(self, work: Work) -> None:
        work.queued = perf_counter_ns()
        self._waiting.append(work)
        self._row[metrics.WAITING] = len(self._waiting)
        if self._lanes.beside and not self._looking:
            self._looking = True
            self._loop.call_later(_LOOK, self._look)
        self._schedule()

    def _schedule(self) -> None:
        """Begin after what the loop has read by now was parsed: it may join."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._scheduled = False
        if not self._lanes.free or not self._waiting:
            return
        works = self._take()
        self._row[metrics.WAITING] = len(self._waiting)
        if works:
            batch = Batch(works)
            self._running.add(batch)
            self._row[metrics.RUNNING] += batch.rows
            self._lanes.run(partial(batch.run, self._infer, self._sample), partial(self._finish, batch))
        if self._waiting:
            self._schedule()

    def _take(self) -> list[Work]:
        """The oldest that waits, and what may join it, in order."""
        now = perf_counter_ns()
        works: list[Work] = []
        rows = 0
        others: deque[Work] = deque()
        waiting = self._waiting
        while waiting:
            work = waiting.popleft()
            if work.gone:
                continue
            if work.deadline < now:
                self._late(work)
            elif not works or (work.sizes == works[0].sizes and rows + work.rows <= self._policy.rows):
                works.append(work)
                rows += work.rows
                if not self._policy.batched or rows >= self._policy.rows:
                    break
            else:
                others.append(work)
        others.extend(waiting)
        self._waiting = others
        return works

    def _finish(self, batch: Batch) -> None:
        self._running.discard(batch)
        row = self._row
        row[metrics.RUNNING] -= batch.rows
        row[metrics.ROWS] += batch.rows
        metrics.BATCH.observe(row, batch.rows)
        took = (batch.done - batch.begun) / 1e9 / len(batch.works)
        self._pace += 0.05 * (took - self._pace)
        for work, result in zip(batch.works, batch.results, strict=True):
            if not work.gone:
                work.begun, work.done = batch.begun, batch.done
                self._deliver(work, result, batch.broken)
        if batch.broken:
            self._broken(next(result for result in batch.results if isinstance(result, Exception)))
        if self._waiting:
            self._schedule()

    def _deliver(self, work: Work, result: list[Array] | Exception, broken: bool) -> None:
        if not isinstance(result, Exception):
            try:
                work.answer(result)
            except Exception:  # noqa: BLE001 - one that can't be written harms no other
                _log.exception("an answer could not be written")
                result = Refusal(500, "the server failed on this request; its log says why")
            else:
                return
        self._row[metrics.DROPPED_FAILED] += 1
        work.refuse(result if isinstance(result, Refusal) else _blamed(result, broken))

    def _look(self) -> None:
        """Refuse what is late, also where the model hasn't come back from it."""
        now = perf_counter_ns()
        for work in (*self._waiting, *(work for batch in self._running for work in batch.works)):
            if work.deadline < now and not work.gone:
                self._late(work)
        self._looking = not self.idle
        if self._looking:
            self._loop.call_later(_LOOK, self._look)

    def _late(self, work: Work) -> None:
        work.gone = True
        self._row[metrics.DROPPED_LATE] += 1
        work.refuse(Refusal(504, "the deadline passed before the model had answered"))

    def close(self) -> None:
        """Wait for what runs."""
        self._lanes.close()


def _blamed(error: Exception, broken: bool) -> Refusal:
    told = str(error).strip().split("\n", 1)[0][:300] or type(error).__name__
    if isinstance(error, MemoryError):
        return Refusal(503, "the server had no memory left for this request", headers=b"retry-after: 1\r\n")
    if broken:
        return Refusal(503, "the model stopped answering; the worker is started again", headers=b"retry-after: 1\r\n")
    return Refusal(400, f"the model can't answer this input, though it answers others: {told}")
