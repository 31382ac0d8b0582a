"""Finds targets by name; knows none of them."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from torchship.errors import UsageError
from torchship.targets.runner import Runner

if TYPE_CHECKING:
    from torchship.targets.builder import Builder

_HERE = "torchship.targets"


@lru_cache(maxsize=1)
def _own() -> dict[str, str]:
    """The folders here, by name: enough for most questions, and far quicker than looking through what is installed."""
    return {
        info.name: f"{_HERE}.{info.name}"
        for info in pkgutil.iter_modules(importlib.import_module(_HERE).__path__)
        if info.ispkg
    }


@lru_cache(maxsize=1)
def _packages() -> dict[str, str]:
    from importlib.metadata import entry_points

    return _own() | {point.name: point.value for point in entry_points(group=_HERE)}


def known() -> tuple[str, ...]:
    """Names of all targets, in the alphabet's order."""
    return tuple(sorted(_packages()))


def group(name: str) -> str:
    """The list that a target belongs to: ``server`` or ``edge``."""
    return str(getattr(importlib.import_module(package_of(name)), "GROUP", "edge"))


def runner_of(name: str) -> Runner:
    """The run side of the target called ``name``; raises UsageError on an unknown one."""
    return cast(Runner, importlib.import_module(f"{package_of(name)}.run").RUNNER)


def builder_of(name: str) -> Builder:
    """The build side of the target called ``name``; raises UsageError on an unknown one."""
    return cast("Builder", importlib.import_module(f"{package_of(name)}.build").BUILDER)


def package_of(name: str) -> str:
    """The package that holds the target called ``name``; raises UsageError on an unknown one."""
    if name in _own():
        return _own()[name]
    if name not in _packages():
        raise UsageError(f"unknown target {name!r}", hint=f"known: {', '.join(known())}")
    return _packages()[name]


def part_of(name: str, module: str, attribute: str) -> Any:
    """What the target's optional ``module`` offers as ``attribute``; None where the target has no such module."""
    full = f"{package_of(name)}.{module}"
    if importlib.util.find_spec(full) is None:
        return None
    return getattr(importlib.import_module(full), attribute)
