"""What a model is asked before it serves."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from torchship.serve import rehearsal
from torchship.serve.rehearsal import RehearsalError, rehearse, sample_of
from torchship.signature import Dim, Leaf, Parameter, Signature, TensorSpec


class Clock:
    """A model on a clock of its own: a call takes ``fixed`` seconds and ``a_row`` for each row."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fixed: float, a_row: float) -> None:
        self.now = 0.0
        self.rows: list[int] = []
        self.fixed, self.a_row = fixed, a_row
        monkeypatch.setattr(rehearsal, "perf_counter", lambda: self.now)

    def infer(self, arrays):
        self.rows.append(len(arrays[0]))
        self.now += self.fixed + self.a_row * len(arrays[0])
        return arrays


SAMPLE = [np.zeros((1, 2), np.float32)]


def test_a_quick_model_runs_in_the_loop_and_a_batch_there_is_never_long(monkeypatch):
    pace = rehearse(Clock(monkeypatch, 1e-4, 1e-5).infer, SAMPLE, inf)
    assert pace.quick
    assert pace.rows == 32
    assert rehearse(Clock(monkeypatch, 1e-3, 6e-4).infer, SAMPLE, inf).rows == 4  # 8 rows would take 5.8 ms


def test_rows_that_bring_nothing_are_not_joined_by_much(monkeypatch):
    clock = Clock(monkeypatch, 0.0, 0.02)
    clock.infer = lambda arrays: setattr(clock, "now", clock.now + 0.02 * len(arrays[0]) ** 1.5) or arrays
    pace = rehearse(clock.infer, SAMPLE, inf)
    assert (pace.quick, pace.rows) == (False, 1)


def test_a_slow_model_whose_batches_pay_gets_them(monkeypatch):
    pace = rehearse(Clock(monkeypatch, 0.03, 0.001).infer, SAMPLE, inf)
    assert not pace.quick
    assert pace.rows >= 4


def test_no_more_rows_than_the_signature_allows(monkeypatch):
    clock = Clock(monkeypatch, 1e-4, 1e-6)
    assert rehearse(clock.infer, SAMPLE, 5).rows == 4
    assert max(clock.rows) == 4
    assert rehearse(clock.infer, SAMPLE, 1).rows == 1


def test_a_very_slow_model_is_not_rehearsed_for_long(monkeypatch):
    clock = Clock(monkeypatch, 0.0, 2.0)
    rehearse(clock.infer, SAMPLE, inf)
    assert clock.now <= 8.0


def test_a_model_that_does_not_answer_is_told():
    def infer(arrays):
        raise ValueError("no kernel")

    with pytest.raises(RehearsalError, match="no kernel"):
        rehearse(infer, SAMPLE, inf)


def test_the_sample_is_a_golden_row_or_zeros_of_the_smallest_sizes():
    specs = (TensorSpec("a", "float32", ("batch", "length")), TensorSpec("b", "int64", ("batch", 3)))
    signature = Signature(
        specs,
        specs,
        (Dim("batch", 1), Dim("length", 4, 9)),
        (Parameter("a", Leaf(0)), Parameter("b", Leaf(1))),
        Leaf(0),
    )
    assert [array.shape for array in sample_of(signature, None)] == [(1, 4), (1, 3)]
    golden = [np.ones((5, 7), np.float32), np.ones((5, 3), np.int64)]
    assert [array.shape for array in sample_of(signature, golden)] == [(1, 7), (1, 3)]
