"""Differences are told where they are, and not where only the noise is."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings, strategies

from torchship.measure.compare import ratio
from torchship.measure.contest import Entrant, contest


def _turn(source: random.Random, centre: float, spread: float):
    return lambda _seconds: [max(centre + source.gauss(0, spread), 0.01) for _ in range(20)]


def test_the_bounds_hold_the_true_ratio():
    one, two = [[2.0, 2.1, 1.9]] * 6, [[1.0, 1.05, 0.95]] * 6
    found = ratio(one, two)
    assert found.value == pytest.approx(2.0)
    assert not found.equal
    assert ratio(one, one).equal


def test_few_rounds_say_little():
    assert ratio([[1.5]], [[1.0]]).equal
    assert not ratio([[2.5]], [[1.0]]).equal
    assert ratio([[1.3], [1.3]], [[1.0], [1.0]]).equal
    assert ratio([], [[1.0]]).equal


@settings(max_examples=60, deadline=None)
@given(strategies.integers(0, 10_000), strategies.floats(0.5, 20.0))
def test_what_is_the_same_is_seldom_told_apart(seed, centre):
    """At 95 % confidence one in twenty may be; a difference of the whole noise must never be."""
    source = random.Random(seed)
    rounds = [[_turn(source, centre, 0.1 * centre)(0) for _ in range(8)] for _ in range(2)]
    found = ratio(*rounds)
    assert found.equal or abs(found.value - 1) < 0.15


def test_the_quickest_comes_first_and_the_slow_drop_out_early():
    source = random.Random(1)
    entrants = [Entrant(name, _turn(source, centre, 0.02)) for name, centre in (("c", 3.0), ("a", 1.0), ("b", 1.3))]
    ranked = contest(entrants, seconds=0.1)
    assert [each.what for each in ranked] == ["a", "b", "c"]
    assert len(ranked[2].rounds) == 1
    assert len(ranked[1].rounds) < 8


def test_of_equals_the_plainer_comes_first():
    source = random.Random(2)
    entrants = [Entrant(name, _turn(source, 1.0, 0.1)) for name in ("plain", "fancy", "fancier")]
    assert contest(entrants, seconds=0.1)[0].what == "plain"
    assert len(entrants[2].rounds) == 8
