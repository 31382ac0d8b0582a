"""Which targets, by which routes."""

from __future__ import annotations

import msgspec

from torchship.errors import UsageError
from torchship.targets import builder_of, group, known
from torchship.targets.builder import Form, Route

_GROUPS = ("server", "edge")
ONNX = "onnx"  # the target whose artifact others start from


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


def onnx_plan() -> Plan:
    """What makes the ONNX that other targets start from: the target's own plan, so that it is made once."""
    return Plan(ONNX, builder_of(ONNX).routes)


def forms_of(plans: tuple[Plan, ...]) -> list[Form]:
    """The forms to capture a model in; ONNX is none: it is converted to, from others."""
    routes = [route for each in plans for route in each.routes]
    if any(route.form is Form.ONNX for route in routes):
        routes += onnx_plan().routes
    return sorted({route.form for route in routes} - {Form.ONNX})
