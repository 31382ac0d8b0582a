"""Several works as one call of the model."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

import numpy as np

from torchship.serve.work import Work
from torchship.targets import Array

Infer = Callable[[list[Array]], list[Array]]


class Batch:
    """Runs its works as one; if that fails, one by one, so that only the culprit fails.

    ``results`` has, for each work, its outputs or what was raised. ``broken``: the model fails on a sample that it
    answered before, too, so no input is to blame.
    """

    __slots__ = ("begun", "broken", "done", "results", "rows", "works")

    def __init__(self, works: list[Work]) -> None:
        self.works = works
        self.rows = sum(work.rows for work in works) if len(works) > 1 else works[0].rows
        self.results: list[list[Array] | Exception] = []
        self.broken = False
        self.begun = self.done = 0

    def run(self, infer: Infer, sample: list[Array]) -> None:
        """Fill in ``results``; raises nothing."""
        self.begun = perf_counter_ns()
        works = self.works
        try:
            if len(works) == 1:
                self.results = [infer(works[0].arrays)]
            else:
                joined = [np.concatenate(arrays) for arrays in zip(*[work.arrays for work in works], strict=True)]
                self.results = self._scattered(infer(joined))
        except Exception as error:  # noqa: BLE001 - whatever a runtime raises
            self._isolate(error, infer, sample)
        self.done = perf_counter_ns()

    def _scattered(self, outputs: list[Array]) -> list[list[Array] | Exception]:
        for output in outputs:
            if len(output) != self.rows:
                raise ValueError(f"the model gave {len(output)} rows for {self.rows}")
        results: list[list[Array] | Exception] = []
        at = 0
        for work in self.works:
            end = at + work.rows
            results.append([output[at:end] for output in outputs])
            at = end
        return results

    def _isolate(self, error: Exception, infer: Infer, sample: list[Array]) -> None:
        self.results = [error] if len(self.works) == 1 else [_attempt(infer, work.arrays) for work in self.works]
        if any(isinstance(result, Exception) for result in self.results):
            self.broken = isinstance(_attempt(infer, sample), Exception)


def _attempt(infer: Infer, arrays: list[Array]) -> list[Array] | Exception:
    try:
        return infer(arrays)
    except Exception as error:  # noqa: BLE001 - whatever a runtime raises
        return error
