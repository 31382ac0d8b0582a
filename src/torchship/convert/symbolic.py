"""``int(x.shape[0] / 2)``, ``float(x.max())``, ``max(a, b)`` in a model's own code, kept open while it is exported.

Python's own functions ask a symbol for its value, which fixes it to the example's. Within ``symbolic_numbers`` the
model's modules see others by these names, which keep the symbol and do the same to everything else.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce
from types import FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from torchship.models.places import Kind, kind_of

Space = dict[str, Any]  # the names of a module

_SYMBOLS = (torch.SymInt, torch.SymFloat)
_sym_int: Callable[[Any], Any] = torch.sym_int
_sym_float: Callable[[Any], Any] = torch.sym_float


class _Standing(type):
    """Makes ``isinstance(x, int)`` mean what it did."""

    plain: type

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.plain)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, cls.plain)


class _Int(int, metaclass=_Standing):
    plain = int

    def __new__(cls, value: Any = 0, *args: Any) -> Any:
        found = _of_tensor(value)
        return _sym_int(found) if isinstance(found, _SYMBOLS) else builtins.int(found, *args)


class _Float(float, metaclass=_Standing):
    plain = float

    def __new__(cls, value: Any = 0.0) -> Any:
        found = _of_tensor(value)
        return _sym_float(found) if isinstance(found, _SYMBOLS) else builtins.float(found)


def _of_tensor(value: Any) -> Any:
    return value.item() if isinstance(value, Tensor) and value.numel() == 1 else value


def _best(symbolic: Callable[[Any, Any], Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    def best(*values: Any, **options: Any) -> Any:
        among = list(values[0]) if len(values) == 1 and isinstance(values[0], (list, tuple)) else list(values)
        if not options and any(isinstance(each, _SYMBOLS) for each in among):
            return reduce(symbolic, among)
        return plain(*values, **options)

    return best


_NAMES: dict[str, Any] = {
    "int": _Int, "float": _Float, "max": _best(torch.sym_max, max), "min": _best(torch.sym_min, min),
}  # fmt: skip


@contextmanager
def symbolic_numbers(model: nn.Module) -> Iterator[None]:
    """Within, the modules that hold the model's code keep symbols open; names that a module has itself stay its own."""
    changed: list[tuple[Space, str]] = []
    try:
        for space in spaces_of(model, packages=True):
            for name, value in _NAMES.items():
                if name not in space:
                    space[name] = value
                    changed.append((space, name))
        yield
    finally:
        for space, name in changed:
            del space[name]


def spaces_of(model: nn.Module, *, packages: bool = False) -> list[Space]:
    """Names of the modules that define the model's classes, and of all user's own; with all else of their ``packages``.

    A module that was read anew since the model was made is not the one of its name: its classes know which it was.
    """
    kinds = {base for each in model.modules() for base in type(each).__mro__}
    named = {_within(kind.__module__, packages) for kind in kinds}
    loaded = [vars(module) for module in list(sys.modules.values()) if isinstance(module, ModuleType)]
    behind = [value.__globals__ for kind in kinds for value in vars(kind).values() if isinstance(value, FunctionType)]
    found = {}
    for space in (*loaded, *behind):
        kind = kind_of(space.get("__file__") or "<none>")
        if kind is Kind.USER or (kind is Kind.LIBRARY and _within(space["__name__"], packages) in named):
            found[id(space)] = space
    return list(found.values())


def _within(module: str, packages: bool) -> str:
    return module.partition(".")[0] if packages else module
