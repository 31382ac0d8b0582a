"""Finds the quickest of several ways: in turns, round by round, and those that are clearly slower drop out early."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Generic, TypeVar

from torchship.measure.compare import ratio

Turn = Callable[[float], Sequence[float]]  # takes the seconds that it may use, gives milliseconds a call
_T = TypeVar("_T")
_HOPELESS = (2.0, 1.4, 1.2)  # times the best's median, after the first rounds; then what the noise can't explain


@dataclass
class Entrant(Generic[_T]):
    """One way: what it is, and its times, a list a round."""

    what: _T
    turn: Turn
    rounds: list[Sequence[float]] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Milliseconds a call, over all rounds."""
        return median(time for each in self.rounds for time in each)


def contest(entrants: Sequence[Entrant[_T]], *, seconds: float, rounds: int = 8) -> list[Entrant[_T]]:
    """Run the rounds, each with ``seconds`` for each that is still in it; give all, the quickest first.

    Of those that are equal to the quickest within the noise, the first of ``entrants`` comes first: what is plainer
    should stand before.
    """
    alive = list(entrants)
    for number in range(rounds):
        for each in alive:
            each.rounds.append(each.turn(seconds))
        best = min(alive, key=lambda each: each.median)
        alive = [each for each in alive if each is best or not _hopeless(each, best, number)]
        if len(alive) == 1 and number >= 1:
            break
    best = min(alive, key=lambda each: each.median)
    equal = [each for each in alive if each is best or ratio(each.rounds, best.rounds).equal]
    rest = sorted((each for each in entrants if each not in equal), key=lambda each: each.median)
    return [*equal, *rest]


def _hopeless(one: Entrant[_T], best: Entrant[_T], number: int) -> bool:
    if number < len(_HOPELESS):
        return one.median > _HOPELESS[number] * best.median
    found = ratio(one.rounds, best.rounds)
    return found.low > 1.0 and not found.equal
