"""Medians and how far the values lie apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """Of a figure that was measured several times."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Keep them."""
        return cls(tuple(values))

    @property
    def median(self) -> float:
        """The middle."""
        return median(self.values)

    def told(self, digits: int) -> str:
        """``2.31 (2.10 to 2.50)``."""
        return f"{self.median:.{digits}f} ({min(self.values):.{digits}f} to {max(self.values):.{digits}f})"


@dataclass(frozen=True)
class Goal:
    """A bound that a median must keep."""

    what: str
    spread: Spread
    bound: float
    at_least: bool
    digits: int = 2

    @property
    def met(self) -> bool:
        """Whether it does."""
        return self.spread.median >= self.bound if self.at_least else self.spread.median <= self.bound

    def told(self) -> str:
        """One line."""
        sign = "≥" if self.at_least else "≤"
        verdict = "met" if self.met else "MISSED"
        return f"{verdict:7}{self.what}: {self.spread.told(self.digits)}, goal {sign} {self.bound:g}"
