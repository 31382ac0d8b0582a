"""Which artifact is the one to run: the quickest of those that meet the user's constraints."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec

from torchship.errors import ConstraintError
from torchship.measure.compare import ratio


class Preference(str, Enum):
    """What the user wants most; the others decide between those that are equal in it."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"
    SIZE = "size"
    ACCURACY = "accuracy"


class Constraints(msgspec.Struct, frozen=True):
    """What the user allows, and prefers. ``max_drop``: of accuracy, as a share; sizes in MB (10^6 bytes)."""

    max_drop: float = 0.0
    max_latency_ms: float | None = None
    max_size_mb: float | None = None
    prefer: Preference = Preference.LATENCY


class Candidate(msgspec.Struct, frozen=True):
    """An artifact that is right, with what was measured of it.

    ``drop``: of accuracy, against eager, as a share. ``throughput``: rows a second, at the best batch measured.
    ``rounds``: the median of each round of the race, so that the noise can be told from a difference.
    """

    name: str
    latency_ms: float
    size_bytes: int
    drop: float = 0.0
    throughput: float = 0.0
    memory_mb: float = 0.0
    rounds: tuple[float, ...] = ()


class Choice(msgspec.Struct, frozen=True):
    """``order``: names, best first, those that miss a constraint last; ``fitting``: how many don't; ``why`` the first.

    ``front``: of those that fit, the ones that no other beats in all of latency, throughput, size, memory and accuracy.
    """

    order: tuple[str, ...]
    fitting: int
    why: str
    front: tuple[str, ...] = ()


def choose(candidates: Sequence[Candidate], constraints: Constraints) -> Choice:
    """Order the candidates by what is preferred, and say in one sentence why the first is chosen.

    Raises:
        ConstraintError: none meets the constraints; tells the nearest misses.
    """
    fitting = [each for each in candidates if not _misses(each, constraints)]
    if not fitting:
        told = "; ".join(
            f"{each.name}: {', '.join(_misses(each, constraints))}" for each in _nearest(candidates, constraints)
        )
        raise ConstraintError(
            f"nothing meets the constraints ({told})" if told else "no target could be made",
            hint="loosen the constraint" if told else "the rows say why each failed",
        )
    rest = [each for each in candidates if each not in fitting]
    ordered = [*_ordered(fitting, constraints.prefer), *_ordered(rest, constraints.prefer)]
    names = tuple(each.name for each in ordered)
    return Choice(names, len(fitting), _why(ordered[: len(fitting)], constraints.prefer), _front(fitting))


def _ordered(candidates: Sequence[Candidate], prefer: Preference) -> list[Candidate]:
    """By what is preferred. Among those as quick as the quickest, the more exact and then the smaller comes first."""
    if prefer is Preference.SIZE:
        return sorted(candidates, key=lambda each: (each.size_bytes, each.latency_ms))
    if prefer is Preference.ACCURACY:
        return sorted(candidates, key=lambda each: (each.drop, each.latency_ms))
    if prefer is Preference.THROUGHPUT:
        return sorted(candidates, key=lambda each: -each.throughput)
    by_time = sorted(candidates, key=lambda each: each.latency_ms)
    equal = [each for each in by_time if _as_quick(each, by_time[0])]
    equal.sort(key=lambda each: (each.drop, each.latency_ms if not each.rounds else each.size_bytes))
    return [*equal, *(each for each in by_time if each not in equal)]


def _as_quick(one: Candidate, best: Candidate) -> bool:
    """Whether the noise of the race may be all that they differ in; what dropped out of it early was clearly slower."""
    if one is best:
        return True
    if not one.rounds or len(one.rounds) < len(best.rounds):
        return False
    return ratio([[time] for time in one.rounds], [[time] for time in best.rounds]).equal


def _why(fitting: Sequence[Candidate], prefer: Preference) -> str:
    best, among = fitting[0], f"of {len(fitting)}"
    next_one = fitting[1] if len(fitting) > 1 else None
    if prefer is Preference.SIZE:
        return f"{best.name} is the smallest {among}: {best.size_bytes / 1e6:.3g} MB, {best.latency_ms:.3g} ms a call"
    if prefer is Preference.ACCURACY:
        lost = f"loses {best.drop:.2%} of accuracy" if best.drop else "loses no accuracy"
        return f"{best.name} {lost}, and is the quickest such {among}: {best.latency_ms:.3g} ms a call"
    if prefer is Preference.THROUGHPUT:
        return f"{best.name} does most {among}: {best.throughput:,.0f} rows a second"
    equal = [each.name for each in fitting[1:] if _as_quick(each, best)]
    if equal:
        return (
            f"{best.name} is one of the {len(equal) + 1} quickest {among}, equal within the noise "
            f"({best.latency_ms:.3g} ms a call), and of these the most exact, then the smallest; "
            f"the others: {', '.join(equal)}"
        )
    why = f"{best.name} is the quickest {among}: {best.latency_ms:.3g} ms a call"
    if next_one is not None:
        why += f", {next_one.name} takes {next_one.latency_ms / best.latency_ms:.2f} times as long"
    return why


def _front(candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """The Pareto front: those that no other is at least as good as in everything, and better in something."""
    points = {
        each.name: (each.latency_ms, -each.throughput, each.size_bytes, each.memory_mb, each.drop)
        for each in candidates
    }
    return tuple(
        name
        for name, mine in points.items()
        if not any(all(a <= b for a, b in zip(other, mine, strict=True)) and other != mine for other in points.values())
    )


def _nearest(candidates: Sequence[Candidate], constraints: Constraints) -> list[Candidate]:
    """Those that miss least first: by how many constraints, then by the worst miss."""

    def miss(each: Candidate) -> tuple[int, float]:
        shares = [each.latency_ms / constraints.max_latency_ms if constraints.max_latency_ms else 0.0]
        shares += [each.size_bytes / 1e6 / constraints.max_size_mb if constraints.max_size_mb else 0.0]
        shares += [1 + each.drop - constraints.max_drop if each.drop > constraints.max_drop else 0.0]
        return len(_misses(each, constraints)), max(shares)

    return sorted(candidates, key=miss)


def _misses(candidate: Candidate, constraints: Constraints) -> list[str]:
    missed = []
    if candidate.drop > constraints.max_drop:
        missed.append(f"loses {candidate.drop:.2%} of accuracy, {constraints.max_drop:.2%} is allowed")
    if constraints.max_latency_ms is not None and candidate.latency_ms > constraints.max_latency_ms:
        missed.append(f"{candidate.latency_ms:.3g} ms > {constraints.max_latency_ms:g} ms")
    if constraints.max_size_mb is not None and candidate.size_bytes > constraints.max_size_mb * 1e6:
        missed.append(f"{candidate.size_bytes / 1e6:.3g} MB > {constraints.max_size_mb:g} MB")
    return missed
