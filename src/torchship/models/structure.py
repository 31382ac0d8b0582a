"""The user's own containers, rebuilt around other tensors: named tuples and dataclasses keep their class."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from typing import Any

from torch import Tensor


def rebuild(template: Any, leaves: Iterator[Tensor]) -> Any:
    """Give a copy of ``template`` with its tensors replaced, in the order in which ``signature.flatten`` meets them."""
    if isinstance(template, Tensor):
        return next(leaves)
    if isinstance(template, dict):
        return _mapping(template, leaves)
    if isinstance(template, tuple) and hasattr(template, "_fields"):
        return type(template)(*(rebuild(item, leaves) for item in template))
    if dataclasses.is_dataclass(template) and not isinstance(template, type):
        return _record(template, leaves)
    if isinstance(template, (list, tuple)):
        return type(template)(rebuild(item, leaves) for item in template)
    return template


def _mapping(template: dict[Any, Any], leaves: Iterator[Tensor]) -> Any:
    items = {key: rebuild(value, leaves) for key, value in template.items()}
    if type(template) is dict:
        return items
    built = copy.copy(template)
    built.update(items)
    return built


def _record(template: Any, leaves: Iterator[Tensor]) -> Any:
    built = copy.copy(template)
    for each in dataclasses.fields(template):
        object.__setattr__(built, each.name, rebuild(getattr(template, each.name), leaves))
    return built
