"""How the user's ``forward`` is called: its arguments by name, taken apart and put together."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from torchship.errors import UsageError
from torchship.models.flat import is_tensor
from torchship.signature import Constant, Parameter, flatten
from torchship.signature import Mapping as MappingTree

_SCALARS = (type(None), bool, int, float, str)


def bind(entry: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
    """Name the arguments as ``forward`` does. Raises UsageError where the example call doesn't fit it."""
    forward = inspect.signature(entry.forward)
    try:
        return forward.bind(*args, **kwargs)
    except TypeError as error:
        raise UsageError(
            f"the example inputs don't fit {type(entry).__name__}.forward{forward}: {error}",
            hint="give args and kwargs as you would call the model",
        ) from error


def named_arguments(bound: inspect.BoundArguments) -> dict[str, Any]:
    """Give the arguments by name; ``**kwargs`` are spread, ``*args`` stay one tuple."""
    named: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        if bound.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
            named.update(value)
        else:
            named[name] = value
    return named


def call_parameters(bound: inspect.BoundArguments) -> tuple[tuple[Parameter, ...], list[str]]:
    """Give the signature's parameters, and the flat tensors' names (``a.b``, ``a.0``).

    A parameter that was left to its default is told too, as a constant: to give it equal at a call is right.
    """
    named = named_arguments(bound)
    flat = flatten(named, is_tensor)
    assert isinstance(flat.tree, MappingTree)
    trees = dict(zip(flat.tree.keys, flat.tree.items, strict=True))
    known = bound.signature.parameters
    for name, parameter in known.items():
        if name not in trees and parameter.default is not parameter.empty and isinstance(parameter.default, _SCALARS):
            trees[name] = Constant(parameter.default)
    order = [name for name in known if name in trees] + [str(name) for name in trees if name not in known]
    parameters = tuple(
        Parameter(
            name,
            trees[name],
            "keyword" if name not in known or known[name].kind is inspect.Parameter.KEYWORD_ONLY else "positional",
        )
        for name in order
    )
    return parameters, flat.paths
