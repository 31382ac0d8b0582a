from __future__ import annotations

import pytest

from torchship.bundle.artifact import Settings
from torchship.report import words


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.0989, "0.0989"), (0.1, "0.100"), (1.2345, "1.23"), (12.34, "12.3"), (123.4, "123"), (1240.2, "1,240"),
     (0.00001234, "0.000012"), (0.0, "0"), (float("nan"), "0")],
)  # fmt: skip
def test_milliseconds(value: float, told: str) -> None:
    assert words.milliseconds(value) == told


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (219_302, "219 kB"), (1_820_000, "1.82 MB"), (5 * 10**12, "5 TB"),
     (999_600, "1 MB")],
)  # fmt: skip
def test_size(count: int, told: str) -> None:
    assert words.size(count) == told


@pytest.mark.parametrize(("share", "told"), [(1.0, "100.0%"), (0.9999, "99.9%"), (0.982, "98.2%"), (0.0, "0.0%")])
def test_percent(share: float, told: str) -> None:
    assert words.percent(share) == told


@pytest.mark.parametrize(("value", "told"), [(1.0, "1"), (1.45, "1.4"), (9.96, "10"), (11.6, "12"), (1234.0, "1,234")])
def test_ratio(value: float, told: str) -> None:
    assert words.ratio(value) == told


@pytest.mark.parametrize(("value", "told"), [(0.0, "0"), (4.77e-6, "4.8e-06")])
def test_small(value: float, told: str) -> None:
    assert words.small(value) == told


def test_settings() -> None:
    assert words.settings(Settings(1)) == "1 thread"
    assert words.settings(Settings(0)) == "threads by the host"
    assert words.settings(Settings(2, {"hint": "f32", "fast": True, "slow": False})) == "2 threads, fast, hint=f32"


@pytest.mark.parametrize(("number", "told"), [(1, "1 call"), (0, "0 calls"), (1200, "1,200 calls")])
def test_count(number: int, told: str) -> None:
    assert words.count(number, "call") == told
