"""The search for the first layer that departs, held against a plain look at every layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from torchship.verify.bisect import first_departure

LAYERS = st.integers(1, 200)


class Asked:
    """Layers from ``first`` on depart; of the ``silent`` ones nothing can be told."""

    def __init__(self, first: int, silent: frozenset[int] = frozenset()) -> None:
        self.first = first
        self.silent = silent
        self.goes = 0

    def __call__(self, layers: Sequence[int]) -> Mapping[int, bool]:
        self.goes += 1
        return {each: each >= self.first for each in layers if each not in self.silent}


@given(LAYERS, st.integers(0, 200), st.integers(1, 50))
def test_it_finds_the_first(count, first, at_once):
    found = first_departure(count, Asked(first), at_once)
    assert found == (first if first < count else None)


@given(LAYERS, st.integers(0, 200), st.integers(1, 50), st.frozensets(st.integers(0, 199)))
def test_of_those_that_can_be_told_it_finds_the_first(count, first, at_once, silent):
    told = [each for each in range(count) if each >= first and each not in silent]
    assert first_departure(count, Asked(first, silent), at_once) == (told[0] if told else None)


def test_a_go_asks_about_many_since_each_converts_anew():
    asked = Asked(1234)
    assert first_departure(2000, asked, 48) == 1234
    assert asked.goes == 2
