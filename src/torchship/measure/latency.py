"""Times calls side by side: in every round each gets its turn, so that a noisy host is fair to all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from torchship.bundle.manifest import Latency

_WARM_UP = 3


def quantiles(milliseconds: Sequence[float]) -> Latency:
    """Give the median and the 99th percentile of times a call."""
    p50, p99 = np.quantile(np.asarray(milliseconds, np.float64), (0.5, 0.99))
    return Latency(float(p50), float(p99))


def time_for(call: Callable[[], object], seconds: float, most: int = 100_000) -> list[float]:
    """Call again and again for ``seconds``, at least three times; give the milliseconds of each call."""
    for _ in range(_WARM_UP):
        call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < most and (len(times) < _WARM_UP or time.perf_counter() < end):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def race(turns: Sequence[Callable[[float], Sequence[float]]], *, seconds: float, rounds: int = 5) -> list[list[float]]:
    """Give each of ``turns`` its share of ``seconds``, interleaved over ``rounds``; give all of its milliseconds.

    A turn takes the seconds that it may use and gives milliseconds a call: ``time_for``, here or in a child process.
    """
    times: list[list[float]] = [[] for _ in turns]
    for _ in range(rounds):
        for turn, mine in zip(turns, times, strict=True):
            mine.extend(turn(seconds / rounds))
    return times
