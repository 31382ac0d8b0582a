"""Finds the first layer whose output departs, asking about a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

AT_ONCE = 48  # layers asked about in one go; each go converts the model anew

Probe = Callable[[Sequence[int]], Mapping[int, bool]]


def first_departure(count: int, probe: Probe, at_once: int = AT_ONCE) -> int | None:
    """Give the first of ``count`` layers, in order of execution, that departs; None where only the whole does.

    ``probe`` tells of some of them which depart; of one that it can't tell of (the converter fused it away) it says
    nothing. Between two goes, the layers between the last that agrees and the first that departs are left.
    """
    agrees, departs = -1, count
    silent: set[int] = set()
    while open_layers := [each for each in range(agrees + 1, departs) if each not in silent]:
        asked = _spread(open_layers, at_once)
        told = probe(asked)
        silent |= {each for each in asked if each not in told}
        wrong = next((each for each in asked if told.get(each)), None)
        if wrong is not None:
            departs = wrong
        agrees = max((each for each in asked if each < departs and told.get(each) is False), default=agrees)
    return departs if departs < count else None


def _spread(layers: Sequence[int], most: int) -> list[int]:
    """At most ``most`` of them, evenly, the last among them."""
    if len(layers) <= most:
        return list(layers)
    step = len(layers) / most
    return [layers[round((place + 1) * step) - 1] for place in range(most)]
