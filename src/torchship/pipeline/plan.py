"""Which targets, by which routes."""

from __future__ import annotations

import msgspec

from torchship.errors import UsageError
from torchship.targets import builder_of, group, known
from torchship.targets.builder import Route

_GROUPS = ("server", "edge")


class Plan(msgspec.Struct, frozen=True):
    """One target to make: its routes, best first; the first that is proven right is taken."""

    target: str
    routes: tuple[Route, ...]


def plan(wanted: str) -> tuple[Plan, ...]:
    """Read the LIST: target names, ``server``, ``edge`` or ``all``, ``TARGET:ROUTE``; commas or blanks between.

    Raises:
        UsageError: an unknown target or route; lists the known.
    """
    routes: dict[str, tuple[Route, ...]] = {}
    for word in wanted.replace(",", " ").split():
        if word in (*_GROUPS, "all"):
            for name in known():
                if word in ("all", group(name)):
                    routes.setdefault(name, builder_of(name).routes)
            continue
        target, _, route = word.partition(":")
        routes[target] = _routes(target, route)
    if not routes:
        raise UsageError("no target was asked for", hint=f"known: {', '.join((*_GROUPS, 'all', *known()))}")
    return tuple(Plan(target, found) for target, found in routes.items())


def _routes(target: str, route: str) -> tuple[Route, ...]:
    if target not in known():
        raise UsageError(f"unknown target {target!r}", hint=f"known: {', '.join((*_GROUPS, 'all', *known()))}")
    offered = builder_of(target).routes
    found = tuple(each for each in offered if route in ("", each.name))
    if not found:
        raise UsageError(f"{target} has no route {route!r}", hint=f"known: {', '.join(each.name for each in offered)}")
    return found
