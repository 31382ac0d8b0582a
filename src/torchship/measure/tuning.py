"""Finds the settings that make an artifact quickest on a host: one knob after the other, each by a contest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack

import msgspec

from torchship.bundle.artifact import Settings
from torchship.bundle.manifest import Latency
from torchship.measure.compare import Ratio, ratio
from torchship.measure.contest import Entrant, Turn, contest
from torchship.measure.knobs import Knob, turned
from torchship.measure.latency import quantiles

Opening = Callable[[Settings], AbstractContextManager[Turn]]
Refusing = Callable[[Settings, Exception], None]
_ROUNDS = 8


class Tuned(msgspec.Struct, frozen=True):
    """What was found. ``against``: its time over that with the settings that it began from; ``tried``: how many."""

    settings: Settings
    latency_ms: Latency
    against: Ratio
    tried: int


def tune(usual: Settings, knobs: Sequence[Knob], opening: Opening, seconds: float, refusing: Refusing) -> Tuned:
    """Turn each knob to the position that is quickest with the others as they were found.

    ``opening`` opens the artifact with given settings (and may refuse them: ``refusing`` hears of it); ``seconds`` are
    for one knob. Where the noise is all of a difference, the plainer position is kept.
    """
    best, tried = usual, 1
    for knob in knobs:
        places = list(dict.fromkeys(map(_frozen, (turned(best, position) for position in knob.positions))))
        if len(places) > 1:
            ranked = _contest([_thawed(each) for each in places], opening, seconds, refusing)
            tried += len(places) - 1
            best = ranked[0].what if ranked else best
    final = _contest([best] if best == usual else [usual, best], opening, seconds, refusing)
    mine = next(each for each in final if each.what == best)
    others = next((each for each in final if each.what == usual), mine)
    kept = others if ratio(mine.rounds, others.rounds).equal else mine
    times = [time for each in kept.rounds for time in each]
    return Tuned(kept.what, quantiles(times), ratio(kept.rounds, others.rounds), tried)


def _contest(
    settings: Sequence[Settings], opening: Opening, seconds: float, refusing: Refusing
) -> list[Entrant[Settings]]:
    with ExitStack() as stack:
        entrants = []
        for each in settings:
            try:
                entrants.append(Entrant(each, stack.enter_context(opening(each))))
            except Exception as error:  # noqa: BLE001, PERF203 - a position that a runtime refuses is none to take
                refusing(each, error)
        return contest(entrants, seconds=seconds / _ROUNDS / max(len(entrants), 1), rounds=_ROUNDS) if entrants else []


def _frozen(settings: Settings) -> bytes:
    return msgspec.json.encode(settings)


def _thawed(raw: bytes) -> Settings:
    return msgspec.json.decode(raw, type=Settings)
