"""Judges an artifact of reduced precision: by how often it agrees with eager, where rounding explains no longer.

It must answer every valid input, in the right shapes and element types, and with numbers where eager gives numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from torchship.bundle.artifact import Verdict
from torchship.verify.parity import Array, Sample, shape_difference

_EXTREMES = ("zero", "low", "high", "large")  # inputs that hardly come: they say nothing of how often it agrees
_STEP = 0.05  # of the greatest answer: what roundings (steps of 1/127) that go another way elsewhere may add


class ReducedJudge:
    """Collects an artifact's answers, sample by sample. ``outputs``: their names."""

    def __init__(self, outputs: Sequence[str]) -> None:
        self._outputs = outputs
        self._agreeing: dict[str, list[tuple[float, int]]] = {name: [] for name in outputs}
        self._off: dict[tuple[str, str], float] = {}
        self._allowed: dict[tuple[str, str], float] = {}
        self._sizes: list[dict[str, int]] = []

    def add(self, sample: Sample, answers: Sequence[Array]) -> str | None:
        """Take the answers to a sample; say what is wrong with them, None where nothing is."""
        self._sizes.append(dict(sample.sizes))
        undecided = sample.undecided()
        for place, name in enumerate(self._outputs):
            eager, answer = np.asarray(sample.eager[place]), answers[place]
            if told := shape_difference(eager, answer):
                return f"{name}: {told}"
            if eager.dtype.kind in "fc" and (np.isfinite(eager) & ~np.isfinite(answer)).any():
                return f"{name} holds NaN or infinity where eager gives numbers"
            mask = undecided[place]
            settled = answer if mask is None else np.where(mask, eager, answer)
            key, off = (sample.name, name), _off(eager, settled)  # samples may share a name: the widest counts
            self._off[key] = max(off, self._off.get(key, 0.0))
            here = 2 * off + _STEP * _greatest(eager) if off else 0.0
            self._allowed[key] = max(here, self._allowed.get(key, 0.0))
            if sample.name not in _EXTREMES and eager.size:
                self._agreeing[name].append((agreeing(eager, settled), len(eager) if eager.ndim > 1 else 1))
        return None

    @property
    def agreement(self) -> float:
        """With eager, over all usual samples: of the output that agrees least."""
        shares = [
            sum(share * rows for share, rows in found) / sum(rows for _, rows in found)
            for found in self._agreeing.values()
            if found
        ]
        return min(shares, default=1.0)

    def verdict(self, golden: Sequence[str]) -> Verdict:
        """Sum up; ``golden`` are the samples that the self-test on another host repeats."""
        return Verdict(
            right=True,
            max_abs_diff=max(self._off.values(), default=0.0),
            noise_ratio=0.0,
            tolerance=tuple(
                max((self._allowed.get((sample, name), 0.0) for sample in golden), default=0.0)
                for name in self._outputs
            ),
            sizes=tuple(self._sizes),
            samples=len(self._sizes),
            agreement=self.agreement,
        )


def agreeing(eager: Array, answer: Array) -> float:
    """How far two answers say the same, 0 to 1.

    Of scores (real, two axes or more): the share of rows whose greatest value stands at the same place. Of other real
    answers: one less the relative error, by root mean squares. Of whole numbers and truth values: the share that is
    equal.
    """
    if eager.dtype.kind not in "fc":
        return float((eager == answer).mean())
    if eager.ndim >= 2 and eager.shape[-1] > 1 and eager.dtype.kind == "f":
        return float((eager.argmax(axis=-1) == answer.argmax(axis=-1)).mean())
    usual = np.isfinite(eager)
    error, size = (float(np.sqrt(np.square(np.abs(part[usual])).mean())) for part in (eager - answer, eager))
    return max(0.0, 1.0 - error / size) if size else float(error == 0.0)


def _greatest(eager: Array) -> float:
    if eager.dtype.kind not in "fc":
        return 0.0
    return float(np.abs(eager[np.isfinite(eager)]).max(initial=0.0))


def _off(eager: Array, answer: Array) -> float:
    usual = np.isfinite(eager) & np.isfinite(answer) if eager.dtype.kind in "fc" else np.ones(eager.shape, bool)
    wide = np.complex128 if eager.dtype.kind == "c" else np.float64
    return float(np.abs(eager.astype(wide) - answer.astype(wide))[usual].max(initial=0.0))
