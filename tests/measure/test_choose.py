from __future__ import annotations

import pytest

from torchship.errors import ConstraintError
from torchship.measure.choose import Candidate, Constraints, choose

QUICK = Candidate("quick", 1.0, 9_000_000, drop=0.02)
SMALL = Candidate("small", 3.0, 1_000_000)


def test_the_quickest_that_loses_nothing_is_chosen():
    order, why = choose([QUICK, SMALL], Constraints())
    assert order == ("small", "quick")
    assert why == "small is the quickest of 1: 3 ms a call"


def test_with_a_drop_allowed_the_quickest_is_chosen():
    order, why = choose([QUICK, SMALL], Constraints(max_drop=0.05))
    assert order == ("quick", "small")
    assert why == "quick is the quickest of 2: 1 ms a call, small takes 3.00 times as long"


def test_a_size_that_nothing_meets_tells_the_nearest_misses():
    with pytest.raises(ConstraintError) as error:
        choose([QUICK, SMALL], Constraints(max_drop=1.0, max_size_mb=0.5, max_latency_ms=2))
    assert "quick: 9 MB > 0.5 MB" in error.value.what
    assert "small: 3 ms > 2 ms, 1 MB > 0.5 MB" in error.value.what
    assert error.value.exit_status == 4
