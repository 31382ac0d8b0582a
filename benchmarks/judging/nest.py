"""Calls and results as plain data, so that a process without torch and without the user's classes can read them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Record:
    """A named tuple or a dataclass, by its fields."""

    fields: dict[str, Any]


def plain(value: Any, leaf: Callable[[Any], Any]) -> Any:
    """``value`` with ``leaf`` of all that is no container, records as Records."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return Record({name: plain(getattr(value, name), leaf) for name in value._fields})
    if isinstance(value, dict) and dataclasses.is_dataclass(value):  # transformers' ModelOutput
        return Record({name: plain(item, leaf) for name, item in value.items()})
    if dataclasses.is_dataclass(value) and not isinstance(value, (type, Record)):
        return Record({each.name: plain(getattr(value, each.name), leaf) for each in dataclasses.fields(value)})
    if isinstance(value, dict):
        return {key: plain(item, leaf) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(item, leaf) for item in value)
    return leaf(value)


def callable_form(value: Any) -> Any:
    """A plain call's argument as one gives it to a loaded model: a record as a mapping of its fields."""
    if isinstance(value, Record):
        return {name: callable_form(item) for name, item in value.fields.items()}
    if isinstance(value, dict):
        return {name: callable_form(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(callable_form(item) for item in value)
    return value


def leaves(value: Any) -> Iterator[np.ndarray[Any, Any]]:
    """All arrays, in order."""
    if isinstance(value, Record):
        value = value.fields
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, (np.ndarray, np.generic)):
        yield np.asarray(value)


def refilled(like: Any, given: Iterator[Any], is_leaf: Callable[[Any], bool]) -> Any:
    """``like`` with its leaves replaced, in order; the classes are kept."""
    if is_leaf(like):
        return next(given)
    if isinstance(like, tuple) and hasattr(like, "_fields"):
        return type(like)(*(refilled(item, given, is_leaf) for item in like))
    if isinstance(like, dict):
        return {key: refilled(item, given, is_leaf) for key, item in like.items()}
    if isinstance(like, (list, tuple)):
        return type(like)(refilled(item, given, is_leaf) for item in like)
    return like
