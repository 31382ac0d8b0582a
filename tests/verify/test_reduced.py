"""What a variant of reduced precision is judged by."""

from __future__ import annotations

import numpy as np

from torchship.verify import Sample
from torchship.verify.reduced import ReducedJudge, agreeing


def test_scores_agree_where_the_greatest_stands_at_the_same_place():
    eager = np.array([[1.0, 3.0, 2.0], [0.0, -1.0, 5.0], [2.0, 1.0, 0.0], [1.0, 0.0, 0.0]], np.float32)
    answer = eager + np.array([[0.5, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]], np.float32)
    assert agreeing(eager, answer) == 0.75


def test_other_numbers_agree_by_their_error():
    eager = np.array([3.0, -4.0])
    assert agreeing(eager, eager * 0.9) == np.float64(0.9)
    assert agreeing(eager, -3 * eager) == 0.0
    assert agreeing(np.zeros(3), np.zeros(3)) == 1.0
    assert agreeing(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5])) == 0.75
    assert agreeing(np.array([True, False]), np.array([True, True])) == 0.5


def test_extremes_say_nothing_of_how_often_it_agrees_and_ties_are_nobodys():
    judge = ReducedJudge(["scores"])
    eager = np.array([[1.0, 2.0], [2.0, 1.0]], np.float32)
    assert judge.add(Sample("usual", [eager], None, {"batch": 2}), [eager + 0.25]) is None
    assert judge.add(Sample("large", [eager], None, {"batch": 2}), [eager[:, ::-1]]) is None
    tied = Sample("user", [eager], [np.array([[np.inf, np.inf], [2.0, 1.0]])], {"batch": 2})
    assert judge.add(tied, [np.array([[5.0, 0.0], [2.0, 1.0]], np.float32)]) is None
    verdict = judge.verdict(["usual"])
    assert verdict.right
    assert verdict.agreement == 1.0
    assert verdict.max_abs_diff == 1.0
    assert verdict.tolerance == (0.5 + 0.05 * 2.0,)
    assert verdict.sizes == ({"batch": 2},) * 3


def test_of_samples_that_share_a_name_the_widest_counts():
    judge, eager = ReducedJudge(["scores"]), np.array([[1.0, 2.0]], np.float32)
    for off in (0.5, 4.0, 0.25):
        assert judge.add(Sample("user", [eager], None), [eager + np.float32(off)]) is None
    assert judge.verdict(["user"]).tolerance == (2 * 4.0 + 0.05 * 2.0,)


def test_what_no_precision_excuses():
    eager = np.array([[1.0, 2.0]], np.float32)
    judge = ReducedJudge(["scores"])
    sample = Sample("usual", [eager], None)
    assert judge.add(sample, [np.zeros((1, 3), np.float32)]) == "scores: shape [1, 3] instead of [1, 2]"
    assert judge.add(sample, [np.array([[np.nan, 2.0]], np.float32)]) == (
        "scores holds NaN or infinity where eager gives numbers"
    )
