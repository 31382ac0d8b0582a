"""Parity with eager, measured in eager's own rounding error rather than by a magic constant.

Eager's answer is held against the same model run in float64; what differs is rounding. An artifact may round
otherwise, but not much more: its distance from the float64 answer may be ``limit`` times eager's own, plus a floor of
``floor`` units in the last place of the largest value, since eager may be right by luck, and never more than a cap.

A model that computes in float16 or bfloat16, as a whole or somewhere inside, rounds by up to a hundredth, and sums in
float32: there the factors are small ones, so that a fault of a few per cent is still seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from torchship.bundle.artifact import Verdict

Array = npt.NDArray[Any]

_FLOAT32 = float(np.finfo(np.float32).eps)
_HALF = 1e-4  # a unit roundoff above it is float16's or bfloat16's


@dataclass(frozen=True)
class Rounding:
    """How far rounding may go.

    ``epsilon``: the unit roundoff of inputs and outputs; ``inside``: of the coarsest type that the model computes in;
    ``scales``: the outputs' usual greatest values (on an input that makes them vanish, a constant one, normalised,
    rounding is still that of the usual size); ``noises``: eager's usual rounding errors.
    """

    epsilon: float = _FLOAT32
    inside: float = _FLOAT32
    scales: Sequence[float] = ()
    noises: Sequence[float] = ()

    @property
    def coarsest(self) -> float:
        """The coarsest unit roundoff."""
        return max(self.epsilon, self.inside)

    @property
    def explained(self) -> float:
        """What share of the scale eager and float64 may be apart by rounding: beyond it, something else happened."""
        return 8 * self.coarsest if self.coarsest > _HALF else math.sqrt(self.coarsest)

    def scale(self, place: int) -> float:
        """The usual greatest value of an output; 0 where none is known."""
        return self.scales[place] if place < len(self.scales) else 0.0

    def noise(self, place: int) -> float:
        """Eager's usual rounding error, where one sample alone tells little: in coarse types."""
        return self.noises[place] if place < len(self.noises) and self.coarsest > _HALF else 0.0

    def allowed(self, noise: float, scale: float) -> float:
        """The greatest error that passes; however noisy the model is, a thousandth (in float32) is no rounding."""
        limit, cap = (8, self.explained) if self.coarsest > _HALF else (32, 3 * self.explained)
        floor = (4 if self.epsilon > _HALF else 32) * self.epsilon * scale + float(np.finfo(np.float32).tiny)
        return max(min(limit * noise, cap * scale), 2 * noise) + floor


@dataclass(frozen=True)
class Sample:
    """One call: eager's outputs, the float64 ones (or None where the model can't), and the dims' sizes.

    Where ``exact`` is infinite and eager isn't, the value hangs on rounding alone, and any other is as good.
    """

    name: str
    eager: Sequence[Array]
    exact: Sequence[Array] | None
    sizes: dict[str, int] = field(default_factory=dict)

    def undecided(self) -> tuple[npt.NDArray[np.bool_] | None, ...]:
        """For each output where rounding alone decides; None where that is nowhere."""
        masks = [_undecided(*map(np.asarray, pair)) for pair in zip(self.eager, self.exact or self.eager, strict=True)]
        return tuple(mask if mask.any() else None for mask in masks)


@dataclass(frozen=True)
class Finding:
    """How one output of one sample compares. ``ratio``: error over what rounding explains."""

    sample: str
    output: str
    ratio: float
    max_abs_diff: float
    wrong: str | None = None


@dataclass
class Judge:
    """Collects an artifact's answers, sample by sample, and gives the verdict. ``outputs``: their names."""

    outputs: tuple[str, ...]
    rounding: Rounding = Rounding()
    findings: list[Finding] = field(default_factory=list)
    allowed: dict[tuple[str, str], float] = field(default_factory=dict)
    sizes: list[dict[str, int]] = field(default_factory=list)
    samples: int = 0

    def add(self, sample: Sample, answers: Sequence[Array]) -> list[Finding]:
        """Compare one sample's answers; gives what was found wrong."""
        self.samples += 1
        if sample.sizes not in self.sizes:
            self.sizes.append(sample.sizes)
        if len(answers) != len(sample.eager):
            wrong = f"{len(answers)} outputs instead of {len(sample.eager)}"
            new = [Finding(sample.name, "", np.inf, np.inf, wrong)]
        else:
            new = [self._compare(sample, place, answer) for place, answer in enumerate(answers)]
        self.findings += new
        return [finding for finding in new if finding.wrong]

    def verdict(self, golden: Sequence[str] = ()) -> Verdict:
        """Sum up; ``golden`` are the samples that the self-test on another host repeats, within ``tolerance``."""
        return Verdict(
            right=bool(self.findings) and not self.wrong,
            max_abs_diff=max((finding.max_abs_diff for finding in self.findings), default=0.0),
            noise_ratio=max((finding.ratio for finding in self.findings), default=0.0),
            tolerance=tuple(
                max((self.allowed.get((sample, name), 0.0) for sample in golden), default=0.0) for name in self.outputs
            ),
            sizes=tuple(self.sizes),
            samples=self.samples,
        )

    @property
    def wrong(self) -> list[Finding]:
        """What was found wrong so far."""
        return [finding for finding in self.findings if finding.wrong]

    def _compare(self, sample: Sample, place: int, answer: Array) -> Finding:
        name = self.outputs[place]
        eager = np.asarray(sample.eager[place])
        exact = eager if sample.exact is None else np.asarray(sample.exact[place])
        if exact.shape != eager.shape:  # a size that depends on values, and came out otherwise in float64
            exact = eager
        shape = shape_difference(eager, answer)
        if shape:
            return Finding(sample.name, name, np.inf, np.inf, f"{name}: {shape}")
        if eager.dtype.kind in "biu":
            return _compare_whole(sample.name, name, eager, exact, answer)
        return self._compare_real(sample.name, place, eager, exact, answer)

    def _compare_real(self, sample: str, place: int, eager: Array, exact: Array, answer: Array) -> Finding:
        name, rounding = self.outputs[place], self.rounding
        usual = np.isfinite(eager)
        if special := _special_difference(eager, answer, usual):
            return Finding(sample, name, np.inf, np.inf, f"{name}: {special}")
        if not usual.any():
            return Finding(sample, name, 0.0, 0.0)
        wide = np.complex128 if eager.dtype.kind == "c" else np.float64
        ours, theirs, true = (array[usual].astype(wide) for array in (eager, answer, exact))
        theirs = np.where(np.isinf(true), ours, theirs)  # nobody's value: see Sample
        true = np.where(np.isfinite(true), true, ours)
        scale = max(_greatest(true), rounding.scale(place))
        noise, error = _noise_and_error(ours, theirs, true, rounding.explained * scale)
        noise = max(noise, rounding.noise(place))
        allowed = rounding.allowed(noise, scale)
        here = 2 * (allowed + _greatest(theirs - ours))  # what another host's rounding may add
        self.allowed[sample, name] = max(here, self.allowed.get((sample, name), 0.0))  # samples may share a name
        told = None
        if error > allowed:
            at = np.unravel_index(int(np.abs(np.where(usual, answer - eager, 0)).argmax()), eager.shape)
            told = f"{_place(name, at)} is {answer[at]:.6g}, eager gives {eager[at]:.6g} ({allowed:.1e} is allowed)"
        unit = max(noise, rounding.epsilon * scale, float(np.finfo(np.float32).tiny))
        return Finding(sample, name, error / unit, _greatest(theirs - ours), told)


def usual_noise(samples: Sequence[tuple[Array, Array]], rounding: Rounding) -> float:
    """Eager's usual rounding error: the median over pairs of eager's and the float64 answer."""
    noises = []
    for eager, exact in samples:
        if eager.shape == exact.shape and (usual := np.isfinite(eager) & np.isfinite(exact)).any():
            true = exact[usual]
            noises.append(_noise_and_error(eager[usual], true, true, rounding.explained * _greatest(true))[0])
    return float(np.median(noises)) if noises else 0.0


def _undecided(eager: Array, exact: Array) -> npt.NDArray[np.bool_]:
    if exact.shape != eager.shape:
        return np.zeros(eager.shape, bool)
    if eager.dtype.kind in "biu":
        return np.asarray(eager != exact)
    return np.isfinite(eager) & np.isinf(exact)


def _noise_and_error(ours: Array, theirs: Array, true: Array, bound: float) -> tuple[float, float]:
    """Eager's own rounding error, and the artifact's distance from the true answer.

    Where eager and float64 are further apart than ``bound``, which rounding doesn't explain (a branch, a tie of a sort,
    an index went the other way), either of the two counts as true, and nothing is learnt about the noise.
    """
    apart = np.abs(ours - true)
    rounding = apart <= bound
    error = np.where(rounding, np.abs(theirs - true), np.minimum(np.abs(theirs - true), np.abs(theirs - ours)))
    return float(apart[rounding].max(initial=0.0)), float(error.max())


def _greatest(values: Array) -> float:
    return float(np.abs(values).max())


def _place(name: str, at: Sequence[Any]) -> str:
    return f"{name}{[int(index) for index in at]}" if len(at) else name


def shape_difference(eager: Array, answer: Array) -> str | None:
    """Say how shape or element type differ; None where they don't."""
    if eager.shape != answer.shape:
        return f"shape {list(answer.shape)} instead of {list(eager.shape)}"
    if eager.dtype.kind != answer.dtype.kind or (eager.dtype.kind in "iu" and eager.dtype != answer.dtype):
        return f"element type {answer.dtype} instead of {eager.dtype}"
    return None


def _special_difference(eager: Array, answer: Array, usual: npt.NDArray[np.bool_]) -> str | None:
    """NaN must be NaN, and an infinity the same one, where eager has them and nowhere else."""
    odd = np.asarray(np.isfinite(answer) != usual)
    if odd.any():
        at = tuple(np.argwhere(odd)[0])
        return f"{_place('', at)} is {answer[at]}, eager gives {eager[at]}"
    if not np.array_equal(answer[~usual], eager[~usual], equal_nan=True):
        return "its NaNs or infinities are others than eager's"
    return None


def _compare_whole(sample: str, name: str, eager: Array, exact: Array, answer: Array) -> Finding:
    """Integers and bools, exactly; where eager and float64 disagree (a tie, a threshold), it is rounding's choice."""
    differs = eager != answer
    settled = differs & (eager == exact)
    gap = float(np.abs(eager.astype(np.float64) - answer.astype(np.float64)).max()) if eager.size else 0.0
    if not settled.any():
        return Finding(sample, name, 0.0, gap)
    at = tuple(np.argwhere(settled)[0])
    share = f"{int(settled.sum())} of {settled.size} values differ"
    told = f"{_place(name, at)} is {answer[at]}, eager gives {eager[at]} ({share})"
    return Finding(sample, name, np.inf, gap, told)
