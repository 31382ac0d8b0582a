"""Times, side by side."""

from __future__ import annotations

import time

import numpy as np
import pytest

from torchship.measure.latency import quantiles, race, time_for


def test_quantiles() -> None:
    latency = quantiles(np.arange(101.0).tolist())
    assert (latency.p50, latency.p99) == (50.0, 99.0)
    assert quantiles([2.0]).p99 == 2.0


def test_each_call_is_timed_in_milliseconds() -> None:
    calls = 0

    def call() -> None:
        nonlocal calls
        calls += 1
        time.sleep(0.002)

    times = time_for(call, 0.05)
    assert calls == len(times) + 3  # the warm-up isn't counted
    assert 3 <= len(times) <= 25
    assert min(times) >= 2.0
    assert len(time_for(lambda: None, 0.0)) == 3
    assert len(time_for(lambda: None, 10.0, most=5)) == 5


def test_turns_are_interleaved_and_share_the_time() -> None:
    turns: list[tuple[str, float]] = []

    def turn(name: str, share: float) -> list[float]:
        turns.append((name, share))
        return [float(len(turns))]

    times = race([lambda share: turn("a", share), lambda share: turn("b", share)], seconds=1.0, rounds=3)
    assert [name for name, _ in turns] == ["a", "b"] * 3
    assert [share for _, share in turns] == pytest.approx([1 / 3] * 6)
    assert times == [[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]
