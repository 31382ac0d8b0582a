"""Which artifact is the one to run: the quickest of those that meet the user's constraints."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from torchship.errors import ConstraintError


class Constraints(msgspec.Struct, frozen=True):
    """What the user allows. ``max_drop``: of accuracy, as a share; sizes in MB (10^6 bytes)."""

    max_drop: float = 0.0
    max_latency_ms: float | None = None
    max_size_mb: float | None = None


class Candidate(msgspec.Struct, frozen=True):
    """An artifact that is right, with what was measured of it. ``drop``: of accuracy, against eager, as a share."""

    name: str
    latency_ms: float
    size_bytes: int
    drop: float = 0.0


def choose(candidates: Sequence[Candidate], constraints: Constraints) -> tuple[tuple[str, ...], str]:
    """Order the candidates' names best first, and say in one sentence why the first is chosen.

    Those that miss a constraint come last: they are right, but not what was asked for.

    Raises:
        ConstraintError: none meets the constraints; tells the nearest misses.
    """
    fitting = [each for each in candidates if not _misses(each, constraints)]
    if not fitting:
        told = "; ".join(f"{each.name}: {', '.join(_misses(each, constraints))}" for each in candidates)
        raise ConstraintError(
            f"nothing meets the constraints ({told})" if told else "no target could be made",
            hint="loosen the constraint" if told else "the rows say why each failed",
        )
    fitting.sort(key=lambda each: each.latency_ms)
    rest = sorted((each for each in candidates if each not in fitting), key=lambda each: each.latency_ms)
    best = fitting[0]
    why = f"{best.name} is the quickest of {len(fitting)}: {best.latency_ms:.3g} ms a call"
    if len(fitting) > 1:
        why += f", {fitting[1].name} takes {fitting[1].latency_ms / best.latency_ms:.2f} times as long"
    return tuple(each.name for each in (*fitting, *rest)), why


def _misses(candidate: Candidate, constraints: Constraints) -> list[str]:
    missed = []
    if candidate.drop > constraints.max_drop:
        missed.append(f"loses {candidate.drop:.2%} of accuracy, {constraints.max_drop:.2%} is allowed")
    if constraints.max_latency_ms is not None and candidate.latency_ms > constraints.max_latency_ms:
        missed.append(f"{candidate.latency_ms:.3g} ms > {constraints.max_latency_ms:g} ms")
    if constraints.max_size_mb is not None and candidate.size_bytes > constraints.max_size_mb * 1e6:
        missed.append(f"{candidate.size_bytes / 1e6:.3g} MB > {constraints.max_size_mb:g} MB")
    return missed
