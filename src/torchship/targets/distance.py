"""How far a smaller artifact's answers are from the ones that it came of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from torchship.targets.runner import Array

Answers = Sequence[Sequence[Array]]  # row by row, output by output


def distance(right: Answers, other: Answers) -> float:
    """The mean square that answers are off by, against their own mean square; summed over all real outputs."""
    total = 0.0
    for one, two in zip(zip(*right, strict=True), zip(*other, strict=True), strict=True):
        if one[0].dtype.kind == "f":
            a, b = (np.concatenate([np.ravel(each) for each in part]).astype(np.float64) for part in (one, two))
            total += float(np.square(a - b).mean() / max(float(np.square(a).mean()), 1e-30))
    return total
