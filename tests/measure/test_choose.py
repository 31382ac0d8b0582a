from __future__ import annotations

import pytest

from torchship.errors import ConstraintError
from torchship.measure.choose import Candidate, Constraints, Preference, choose

QUICK = Candidate("quick", 1.0, 9_000_000, drop=0.02, throughput=100.0)
SMALL = Candidate("small", 3.0, 1_000_000, throughput=400.0)


def test_the_quickest_that_loses_nothing_is_chosen():
    choice = choose([QUICK, SMALL], Constraints())
    assert choice.order == ("small", "quick")
    assert choice.fitting == 1
    assert choice.why == "small is the quickest of 1: 3 ms a call"


def test_with_a_drop_allowed_the_quickest_is_chosen():
    choice = choose([QUICK, SMALL], Constraints(max_drop=0.05))
    assert choice.order == ("quick", "small")
    assert choice.why == "quick is the quickest of 2: 1 ms a call, small takes 3.00 times as long"


def test_a_size_that_nothing_meets_tells_the_nearest_misses():
    with pytest.raises(ConstraintError) as error:
        choose([SMALL, QUICK], Constraints(max_drop=1.0, max_size_mb=0.5, max_latency_ms=2))
    assert error.value.what == (
        "nothing meets the constraints (quick: 9 MB > 0.5 MB; small: 3 ms > 2 ms, 1 MB > 0.5 MB)"
    )
    assert error.value.exit_status == 4


@pytest.mark.parametrize(
    ("prefer", "first", "why"),
    [
        ("size", "small", "small is the smallest of 2: 1 MB, 3 ms a call"),
        ("accuracy", "small", "small loses no accuracy, and is the quickest such of 2: 3 ms a call"),
        ("throughput", "small", "small does most of 2: 400 rows a second"),
        ("latency", "quick", "quick is the quickest of 2: 1 ms a call, small takes 3.00 times as long"),
    ],
)
def test_what_is_preferred_comes_first(prefer, first, why):
    choice = choose([QUICK, SMALL], Constraints(max_drop=1.0, prefer=Preference(prefer)))
    assert choice.order[0] == first
    assert choice.why == why


def test_what_the_noise_can_t_tell_apart_is_told_as_equal_and_the_more_exact_is_taken():
    one = Candidate("int8", 1.0, 1000, drop=0.01, rounds=(0.9, 1.0, 1.1, 1.0))
    two = Candidate("float", 1.02, 4000, rounds=(1.1, 0.95, 1.0, 1.03))
    three = Candidate("plain", 1.04, 3000, rounds=(0.95, 1.05, 1.1, 1.04))
    slow = Candidate("slow", 2.0, 100, rounds=(2.0, 2.02, 1.98, 2.0))
    early = Candidate("early", 1.5, 100, rounds=(1.5,))  # it dropped out: it was clearly slower then
    choice = choose([one, two, three, slow, early], Constraints(max_drop=0.1))
    assert choice.order == ("plain", "float", "int8", "early", "slow")
    assert choice.why.startswith("plain is one of the 3 quickest of 5, equal within the noise")


def test_the_front_is_what_no_other_beats_in_everything():
    both = Candidate("both", 2.0, 500_000, throughput=500.0)
    beaten = Candidate("beaten", 4.0, 2_000_000, throughput=10.0)
    assert choose([QUICK, SMALL, both, beaten], Constraints(max_drop=1.0)).front == ("quick", "both")
