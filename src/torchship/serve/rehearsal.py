"""Runs a model before it serves: warms it up, and finds how many rows make the best batch on this host."""

from __future__ import annotations

import dataclasses
from math import inf
from time import perf_counter

import numpy as np

from torchship.errors import TorchshipError
from torchship.serve.batch import Infer
from torchship.signature import Signature, numpy_dtype
from torchship.targets import Array

_QUICK = 2e-3  # seconds: up to here a model runs in the event loop
_LOOP = 5e-3  # seconds: a batch in the event loop takes no longer
_MOST_ROWS = 32
_BUDGET = 0.03  # seconds, or as long as ten runs of one row take
_MOST_BUDGET = 1.0
_AROUND = 5e-5  # seconds that a batch costs around the model, whatever its size


@dataclasses.dataclass(frozen=True)
class Pace:
    """``rows``: of the best batch. ``seconds``: what one row alone takes. ``quick``: fit for the event loop."""

    rows: int
    seconds: float

    @property
    def quick(self) -> bool:
        """Whether it may run in the event loop."""
        return self.seconds <= _QUICK


class RehearsalError(TorchshipError):
    """The model could not answer a sample of its own."""


def sample_of(signature: Signature, golden: list[Array] | None) -> list[Array]:
    """Give an input that is valid: one row of a golden sample, or zeros of the smallest sizes where there is none."""
    if golden is not None:
        return [array[:1] for array in golden] if signature.batch else golden
    sizes = signature.sizes({dim.name: max(1, dim.min) for dim in signature.dims})
    return [
        np.zeros([size if isinstance(size, int) else sizes[size] for size in spec.shape], numpy_dtype(spec.dtype))
        for spec in signature.inputs
    ]


def rehearse(infer: Infer, sample: list[Array], most: float) -> Pace:
    """Time batches of 1, 2, 4 … rows, up to ``most``, within a budget of time.

    Raises:
        RehearsalError: the model doesn't answer.
    """
    try:
        infer(sample)
        single = _timed(infer, sample, 3)
        return Pace(_best_rows(infer, sample, single, min(most, _MOST_ROWS)), single)
    except Exception as error:
        raise RehearsalError(
            f"the model doesn't answer a sample of its own: {error}", hint="ship it again, or try another artifact"
        ) from error


def _best_rows(infer: Infer, sample: list[Array], single: float, most: float) -> int:
    """The batch that costs the least time a row."""
    longest = _LOOP if single <= _QUICK else inf
    left = min(max(_BUDGET, 10 * single), _MOST_BUDGET)
    a_row = {1: single + _AROUND}
    took, rows = single, 2
    while rows <= most and 4 * took < left:  # one run to warm up and one to time, of twice the rows
        batch = [np.repeat(array, rows, axis=0) for array in sample]
        started = perf_counter()
        infer(batch)
        took = _timed(infer, batch, 2 if single <= _QUICK else 1)
        left -= perf_counter() - started
        if took > longest:
            break
        a_row[rows] = (took + _AROUND) / rows
        rows *= 2
    return min(a_row, key=a_row.__getitem__)


def _timed(infer: Infer, arrays: list[Array], times: int) -> float:
    """Give the shortest of several runs, in seconds."""
    shortest = inf
    for _ in range(times):
        started = perf_counter()
        infer(arrays)
        shortest = min(shortest, perf_counter() - started)
    return shortest
