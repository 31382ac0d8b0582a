"""Natural batching: what is joined, what isn't, in which order, and who is harmed by whom."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from time import perf_counter_ns

import numpy as np
import pytest

from torchship.serve import metrics
from torchship.serve.batcher import Batcher, Policy
from torchship.serve.board import Board
from torchship.serve.lanes import InLoop, InThreads
from torchship.serve.refusal import Refusal
from torchship.serve.work import Work


class Asked(Work):
    """Remembers what became of it."""

    __slots__ = ("got", "refusal")

    def __init__(self, values, seconds: float = 60.0) -> None:
        super().__init__([np.asarray(values, np.float64)], perf_counter_ns() + int(seconds * 1e9))
        self.got = None
        self.refusal = None

    def answer(self, outputs):
        assert self.got is None
        assert self.refusal is None
        self.got = outputs

    def refuse(self, refusal):
        assert self.got is None
        assert self.refusal is None
        self.refusal = refusal

    @property
    def settled(self) -> bool:
        return self.got is not None or self.refusal is not None


class Model:
    """Doubles its rows; raises on a 13, gives too few rows on a 14, and fails on all once it is ``dead``."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.shapes: list[tuple[int, ...]] = []
        self.dead = False
        self.gate = threading.Event()
        self.gate.set()

    def infer(self, arrays):
        self.gate.wait(10)
        (array,) = arrays
        self.batches.append(array[:, 0].tolist() if array.ndim > 1 else array.tolist())
        self.shapes.append(array.shape)
        if self.dead or 13 in array:
            raise ValueError("thirteen\nand a second line")
        return [array * 2][:1] if 14 not in array or len(array) == 1 else [array[:-1]]


class Bench:
    def __init__(self, rows: int = 4, queue: int = 100, lanes=None, batched: bool = True) -> None:
        self.model = Model()
        self.board = Board(2, metrics.CELLS)
        self.row = self.board.row(0)
        self.broken: list[Exception] = []
        policy = Policy(batched, rows, queue)
        self.lanes = lanes or InLoop()
        sample = [np.ones((1, 1))]
        self.batcher = Batcher(self.model.infer, sample, policy, self.lanes, self.board, self.row, self.broken.append)

    async def ask(self, *works: Work) -> None:
        for work in works:
            self.batcher.submit(work)
        await self.settled(*works)

    async def settled(self, *works: Work) -> None:
        for _ in range(2000):
            if all(work.settled or work.gone for work in works):
                return
            await asyncio.sleep(0.002)
        raise AssertionError("no answer")


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(test(), 20)

    asyncio.run(main())


def rows(*values: float) -> list[list[float]]:
    return [[value] for value in values]


def test_what_waits_is_one_batch_and_each_gets_its_share():
    async def test() -> None:
        bench = Bench()
        works = [Asked(rows(1)), Asked(rows(2, 3)), Asked(rows(4))]
        await bench.ask(*works)
        assert bench.model.batches == [[1, 2, 3, 4]]
        assert [work.got[0].ravel().tolist() for work in works] == [[2], [4, 6], [8]]
        assert works[1].got[0].base is not None  # a view, no copy

    run(test)


def test_a_batch_has_no_more_rows_than_the_best_one_and_order_is_kept():
    async def test() -> None:
        bench = Bench(rows=4)
        await bench.ask(*[Asked(rows(value)) for value in range(10)])
        assert bench.model.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]

    run(test)


def test_one_that_waits_alone_is_not_kept_waiting():
    async def test() -> None:
        bench = Bench()
        started = time.perf_counter()
        await bench.ask(Asked(rows(1)))
        assert time.perf_counter() - started < 0.5
        assert bench.model.batches == [[1]]

    run(test)


def test_only_equal_sizes_are_joined_and_the_oldest_goes_first():
    async def test() -> None:
        bench = Bench()
        works = [Asked([[1, 1]]), Asked([[2]]), Asked([[3, 3]]), Asked([[4]])]
        await bench.ask(*works)
        assert bench.model.shapes == [(2, 2), (2, 1)]
        assert bench.model.batches == [[1, 3], [2, 4]]

    run(test)


def test_where_there_is_no_batch_axis_nothing_is_joined():
    async def test() -> None:
        bench = Bench(batched=False)
        await bench.ask(Asked([1, 2]), Asked([3, 4]))
        assert bench.model.batches == [[1, 2], [3, 4]]

    run(test)


def test_the_culprit_alone_is_refused():
    async def test() -> None:
        bench = Bench()
        works = [Asked(rows(1)), Asked(rows(13)), Asked(rows(3)), Asked(rows(4))]
        await bench.ask(*works)
        assert [work.got[0].ravel().tolist() if work.got else None for work in works] == [[2], None, [6], [8]]
        assert works[1].refusal.status == 400
        assert works[1].refusal.what.endswith("thirteen")
        assert bench.broken == []
        assert bench.row[metrics.DROPPED_FAILED] == 1

    run(test)


def test_a_model_that_gives_too_few_rows_for_a_batch_is_asked_one_by_one():
    async def test() -> None:
        bench = Bench()
        works = [Asked(rows(14)), Asked(rows(2))]
        await bench.ask(*works)
        assert [work.got[0].ravel().tolist() for work in works] == [[28], [4]]

    run(test)


def test_a_model_that_fails_on_its_own_sample_is_broken():
    async def test() -> None:
        bench = Bench()
        bench.model.dead = True
        work = Asked(rows(1))
        await bench.ask(work)
        assert work.refusal.status == 503
        assert b"retry-after" in work.refusal.headers
        assert [str(error) for error in bench.broken] == ["thirteen\nand a second line"]

    run(test)


def test_more_rows_than_a_batch_go_in_pieces_and_others_get_their_turn():
    async def test() -> None:
        bench = Bench(rows=4)
        large, small = Asked(rows(*range(10))), Asked(rows(100))
        await bench.ask(large, small)
        assert bench.model.batches == [[0, 1, 2, 3], [100], [4, 5, 6, 7], [8, 9]]
        assert large.got[0].ravel().tolist() == [2 * value for value in range(10)]

    run(test)


def test_a_piece_that_is_refused_refuses_the_whole_once():
    async def test() -> None:
        bench = Bench(rows=2)
        large = Asked(rows(1, 2, 13, 4, 5, 6))
        await bench.ask(large)
        await asyncio.sleep(0.02)
        assert large.refusal.status == 400
        assert bench.model.batches == [[1, 2], [13, 4], [1]]

    run(test)


def test_what_is_late_or_gone_costs_nothing():
    async def test() -> None:
        bench = Bench()
        late, gone, good = Asked(rows(1), seconds=-1), Asked(rows(2)), Asked(rows(3))
        gone.abandon()
        await bench.ask(late, gone, good)
        assert bench.model.batches == [[3]]
        assert late.refusal.status == 504
        assert gone.refusal is None
        assert gone.got is None
        assert bench.row[metrics.DROPPED_LATE] == 1

    run(test)


def test_the_queue_is_bounded_over_all_workers():
    async def test() -> None:
        bench = Bench(queue=3)
        bench.board.row(1)[metrics.WAITING] = 2
        bench.batcher.admit()
        bench.batcher.submit(Asked(rows(1)))
        with pytest.raises(Refusal, match="3 requests wait already") as refused:
            bench.batcher.admit()
        assert (refused.value.status, refused.value.headers) == (429, b"retry-after: 1\r\n")
        assert bench.row[metrics.DROPPED_FULL] == 1
        await asyncio.sleep(0.01)
        bench.batcher.admit()

    run(test)


def test_retry_after_follows_from_how_fast_the_queue_drains():
    async def test() -> None:
        bench = Bench(queue=50)
        bench.batcher._pace = 0.2
        bench.board.row(1)[metrics.WAITING] = 50
        with pytest.raises(Refusal) as refused:
            bench.batcher.admit()
        assert refused.value.headers == b"retry-after: 10\r\n"

    run(test)


def test_in_threads_what_arrives_while_a_batch_runs_is_the_next_batch():
    async def test() -> None:
        bench = Bench(lanes=InThreads(1))
        bench.model.gate.clear()
        first = Asked(rows(1))
        bench.batcher.submit(first)
        await asyncio.sleep(0.02)
        others = [Asked(rows(value)) for value in (2, 3, 4)]
        for work in others:
            bench.batcher.submit(work)
            await asyncio.sleep(0.01)
        assert bench.row[metrics.WAITING] == 3
        bench.model.gate.set()
        await bench.settled(first, *others)
        assert bench.model.batches == [[1], [2, 3, 4]]
        bench.batcher.close()

    run(test)


def test_in_threads_batches_run_side_by_side():
    async def test() -> None:
        bench = Bench(rows=1, lanes=InThreads(2))
        bench.model.gate.clear()
        works = [Asked(rows(value)) for value in (1, 2, 3)]
        for work in works:
            bench.batcher.submit(work)
        await asyncio.sleep(0.05)
        assert bench.row[metrics.RUNNING] == 2
        bench.model.gate.set()
        await bench.settled(*works)
        assert [work.got[0].item() for work in works] == [2, 4, 6]
        bench.batcher.close()

    run(test)


def test_in_threads_a_deadline_passes_also_while_the_model_runs():
    async def test() -> None:
        bench = Bench(lanes=InThreads(1))
        bench.model.gate.clear()
        running, waiting = Asked(rows(1), seconds=0.05), Asked(rows(2), seconds=0.05)
        bench.batcher.submit(running)
        await asyncio.sleep(0.01)
        bench.batcher.submit(waiting)
        await bench.settled(running, waiting)
        assert (running.refusal.status, waiting.refusal.status) == (504, 504)
        bench.model.gate.set()
        good = Asked(rows(3))
        await bench.ask(good)
        assert good.got[0].item() == 6
        assert bench.row[metrics.DROPPED_LATE] == 2
        bench.batcher.close()

    run(test)


def test_an_answer_that_cannot_be_written_harms_no_other(caplog):
    class Unwritable(Asked):
        def answer(self, outputs):
            raise OSError("no")

    async def test() -> None:
        bench = Bench()
        bad, good = Unwritable(rows(1)), Asked(rows(2))
        await bench.ask(bad, good)
        assert bad.refusal.status == 500
        assert good.got[0].item() == 4

    run(test)
    assert "could not be written" in caplog.text
