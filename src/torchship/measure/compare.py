"""Whether one thing is quicker than another, or only seemed so: from times that were taken in turn, round by round."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median, stdev

import msgspec

_T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13)  # 97.5 %, 1 to 15
_NORMAL = 1.96
_UNKNOWN = (2.0, 1.4)  # the noise's factor, with so few rounds
_LEAST = 0.01  # below a difference of one percent nobody need choose
Rounds = Sequence[Sequence[float]]  # the times of each round


class Ratio(msgspec.Struct, frozen=True):
    """How many times as long the first takes as the second, with the bounds of 95 % confidence."""

    value: float
    low: float
    high: float

    @property
    def equal(self) -> bool:
        """Whether the noise, or less than a percent, may be all of it."""
        return self.low <= 1.0 <= self.high or abs(self.value - 1.0) < _LEAST


def ratio(mine: Rounds, others: Rounds) -> Ratio:
    """Compare the medians of the rounds that both took part in, pair by pair, by Student's t of their logarithms.

    With one round or two there is no telling the noise: it is taken for a factor of 2, or of 1.4.
    """
    logs = [
        math.log(max(median(one), 1e-9) / max(median(two), 1e-9))
        for one, two in zip(mine, others, strict=False)
        if one and two
    ]
    if not logs:
        return Ratio(1.0, 0.0, math.inf)
    centre = fmean(logs)
    if len(logs) <= len(_UNKNOWN):
        spread = math.log(_UNKNOWN[len(logs) - 1])
    else:
        t = _T[len(logs) - 2] if len(logs) - 2 < len(_T) else _NORMAL
        spread = t * stdev(logs) / math.sqrt(len(logs))
    return Ratio(math.exp(centre), math.exp(centre - spread), math.exp(centre + spread))
