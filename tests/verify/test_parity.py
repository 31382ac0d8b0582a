from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from torchship.verify import Judge, Rounding, Sample, usual_noise

floats = hnp.arrays(np.float32, hnp.array_shapes(max_dims=3, max_side=5), elements=st.floats(-100, 100, width=32))


def judged(eager, answer, exact=None):
    judge = Judge(("y",))
    judge.add(Sample("s", [eager], None if exact is None else [exact], {"batch": 2}), [answer])
    return judge.verdict(["s"]), judge.wrong


@given(floats)
def test_the_same_answer_is_right(eager):
    verdict, wrong = judged(eager, eager.copy())
    assert verdict.right
    assert not wrong
    assert verdict.max_abs_diff == 0


@given(floats, st.floats(1e-3, 10))
def test_an_answer_that_is_off_by_more_than_rounding_is_wrong(eager, off):
    answer = eager.copy()
    answer.flat[0] += np.float32(off * max(1.0, np.abs(eager).max()))
    verdict, wrong = judged(eager, answer)
    assert not verdict.right
    assert "eager gives" in wrong[0].wrong


@given(floats)
def test_rounding_of_eagers_own_size_is_right(eager):
    exact = eager.astype(np.float64) * (1 + 1e-6)
    answer = (eager.astype(np.float64) * (1 - 5e-6)).astype(np.float32)
    verdict, _ = judged(eager, answer, exact)
    assert verdict.right
    assert verdict.noise_ratio < 32


def test_half_precision_passed_off_as_float32_is_wrong():
    eager = np.linspace(-1, 1, 101, dtype=np.float32)
    exact = eager.astype(np.float64) + 3e-8
    bfloat16 = (eager.view(np.uint32) & 0xFFFF0000).view(np.float32)
    verdict, _ = judged(eager, bfloat16, exact)
    assert not verdict.right
    assert verdict.noise_ratio > 1000


def test_nan_and_infinity_must_be_where_eager_has_them():
    eager = np.array([np.nan, np.inf, 1.0], np.float32)
    assert judged(eager, eager.copy())[0].right
    assert not judged(eager, np.array([np.nan, -np.inf, 1.0], np.float32))[0].right
    assert not judged(eager, np.array([0.0, np.inf, 1.0], np.float32))[0].right
    assert not judged(np.ones(2, np.float32), np.array([1.0, np.nan], np.float32))[0].right


def test_whole_numbers_are_compared_exactly_but_for_ties():
    eager = np.array([1, 2, 3])
    verdict, wrong = judged(eager, np.array([1, 2, 4]))
    assert not verdict.right
    assert wrong[0].wrong == "y[2] is 4, eager gives 3 (1 of 3 values differ)"
    tie = judged(eager, np.array([1, 2, 4]), exact=np.array([1, 2, 4]))[0]
    assert tie.right


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (np.zeros((1, 3), np.float32), "y: shape [1, 3] instead of [3]"),
        (np.zeros(3, np.int64), "y: element type int64 instead of float32"),
    ],
)
def test_another_shape_or_type_is_wrong(answer, told):
    assert judged(np.zeros(3, np.float32), answer)[1][0].wrong == told


def test_a_missing_output_is_wrong():
    judge = Judge(("a", "b"))
    judge.add(Sample("s", [np.zeros(1, np.float32)] * 2, None), [np.zeros(1, np.float32)])
    assert judge.wrong[0].wrong == "1 outputs instead of 2"


def test_nothing_judged_is_not_right():
    assert not Judge(("y",)).verdict().right


def test_the_tolerance_is_that_of_the_golden_samples_alone():
    judge = Judge(("y",))
    small, large = np.ones(3, np.float32), np.full(3, 1e6, np.float32)
    judge.add(Sample("usual", [small], [small.astype(np.float64)]), [small])
    judge.add(Sample("large", [large], [large.astype(np.float64)]), [large])
    assert judge.verdict(["usual"]).tolerance[0] < 1e-4 < judge.verdict(["usual", "large"]).tolerance[0]


def test_where_eager_and_float64_part_ways_either_counts_and_nothing_else():
    eager = np.array([1.0, 2.0, 3.0], np.float32)
    exact = np.array([1.0, 3.0, 2.0])  # a sort that went the other way
    assert judged(eager, eager.copy(), exact)[0].right
    assert judged(eager, exact.astype(np.float32), exact)[0].right
    assert not judged(eager, np.array([1.0, 2.5, 2.0], np.float32), exact)[0].right


def test_a_noisy_model_is_no_excuse_for_a_thousandth():
    exact = np.linspace(1, 2, 50)
    eager = (exact * (1 + 2e-4)).astype(np.float32)
    assert judged(eager, (exact * (1 - 3e-4)).astype(np.float32), exact)[0].right
    assert not judged(eager, (exact * 1.004).astype(np.float32), exact)[0].right


def test_rounding_noise_alone_is_judged_by_the_outputs_usual_size():
    eager = np.array([3.2e-06], np.float32)  # a constant input, normalised: nothing but rounding is left
    answer = np.array([-1.2e-05], np.float32)
    exact = np.array([1e-14])
    lone, usual = Judge(("y",)), Judge(("y",), Rounding(scales=(2.0,)))
    for judge in (lone, usual):
        judge.add(Sample("low", [eager], [exact]), [answer])
    assert lone.wrong
    assert not usual.wrong


def test_a_value_that_hangs_on_rounding_alone_may_be_any_other():
    eager = np.float32([1.0, 2.0, 3.0])
    sample = Sample("zero", [eager], [np.float64([1.0, np.inf, 3.0])])
    assert Judge(("y",)).add(sample, [np.float32([1.0, -7.0, 3.0])]) == []
    assert "y[2] is 3.1" in Judge(("y",)).add(sample, [np.float32([1.0, 2.0, 3.1])])[0].wrong
    assert "is nan" in Judge(("y",)).add(sample, [np.float32([1.0, np.nan, 3.0])])[0].wrong


def test_the_tolerance_on_other_hosts_covers_what_was_seen_here():
    """Eager in 16 bits inside is further from float64 than the artifact is, which is right by either."""
    eager, exact, answer = np.float32([1.003, 2.0]), np.float64([1.0, 2.0]), np.float32([1.0, 2.0])
    judge = Judge(("y",))
    assert judge.add(Sample("usual", [eager], [exact]), [answer]) == []
    assert judge.verdict(["usual"]).tolerance[0] > 2 * 0.003 * 0.99


def bfloat16(values):
    """Round to the seven bits of a bfloat16's fraction, to the nearest."""
    return ((np.float32(values).view(np.uint32) + 0x8000) & 0xFFFF0000).view(np.float32)


BFLOAT16 = 2.0**-7


def test_a_model_that_rounds_to_bfloat16_inside_is_judged_by_what_that_costs():
    exact = np.linspace(-1, 1, 101)
    eager, answer = bfloat16(exact * 1.003), np.float32(exact)  # the artifact computes more exactly than eager
    noise = usual_noise([(eager, exact)], Rounding(inside=BFLOAT16))
    assert 0.001 < noise < 0.01
    judge = Judge(("y",), Rounding(inside=BFLOAT16, noises=(noise,)))
    assert judge.add(Sample("usual", [eager], [exact]), [answer]) == []
    wrong = judge.add(Sample("usual", [eager], [exact]), [np.float32(exact * 1.1)])
    assert "is allowed" in wrong[0].wrong


def test_a_cast_that_costs_nothing_earns_no_tolerance():
    exact = np.linspace(-1, 1, 101)
    eager = np.float32(exact)
    judge = Judge(("y",), Rounding(inside=BFLOAT16, noises=(3e-8,)))
    assert judge.add(Sample("usual", [eager], [exact]), [np.float32(exact * 1.0001)])


def test_a_bfloat16_output_may_be_off_by_its_own_rounding_and_no_more():
    exact = np.linspace(-1, 1, 101)
    eager = bfloat16(exact)
    judge = Judge(("y",), Rounding(BFLOAT16, BFLOAT16))
    assert judge.add(Sample("usual", [eager], [exact]), [bfloat16(exact * 1.01)]) == []
    assert judge.add(Sample("usual", [eager], [exact]), [bfloat16(exact * 1.15)])


def test_what_rounding_alone_decides_is_marked():
    eager = [np.array([1.0, np.inf, 2.0], np.float32), np.array([3, 4]), np.array([True, False]), np.zeros((2, 2))]
    exact = [np.array([np.inf, np.inf, 2.0]), np.array([3, 5]), np.array([True, False]), np.full(3, np.inf)]
    masks = Sample("usual", eager, exact).undecided()
    assert masks[0].tolist() == [True, False, False]
    assert masks[1].tolist() == [False, True]
    assert masks[2:] == (None, None)
    assert Sample("usual", eager, None).undecided() == (None,) * 4
