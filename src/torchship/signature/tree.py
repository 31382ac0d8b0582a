"""The structure around a call's tensors, kept apart from them.

Converters see flat tensors only; the runtime puts the user's structure back without the user's classes: a named
tuple or a dataclass comes back as a named tuple with the same fields.
"""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import msgspec

from torchship.errors import SourceError

Scalar = None | bool | int | float | str


class Leaf(msgspec.Struct, frozen=True, tag="tensor"):
    """A tensor: its place in the flat list."""

    index: int


class Constant(msgspec.Struct, frozen=True, tag="constant"):
    """A value that was fixed when the model was captured."""

    value: Scalar


class Sequence(msgspec.Struct, frozen=True, tag="sequence"):
    """A list or a tuple."""

    kind: Literal["list", "tuple"]
    items: tuple[Tree, ...]


class Mapping(msgspec.Struct, frozen=True, tag="mapping"):
    """A dict with keys of one kind, in their order."""

    keys: tuple[str | int, ...]
    items: tuple[Tree, ...]


class Record(msgspec.Struct, frozen=True, tag="record"):
    """A named tuple or a dataclass: its class's name and its fields."""

    name: str
    fields: tuple[str, ...]
    items: tuple[Tree, ...]


Tree = Leaf | Constant | Sequence | Mapping | Record


@dataclasses.dataclass
class Flattened:
    """``leaves[i]`` is the tensor called ``paths[i]`` (``a.b``, ``a.0``; empty for a lone tensor)."""

    tree: Tree
    leaves: list[Any]
    paths: list[str]


def flatten(value: object, is_tensor: Callable[[object], bool], path: str = "") -> Flattened:
    """Take ``value`` apart into a tree and its tensors.

    Raises:
        SourceError: it holds an object that is neither tensor, container nor plain constant; says where.
    """
    leaves: list[Any] = []
    paths: list[str] = []

    def walk(node: object, at: str) -> Tree:
        if is_tensor(node):
            leaves.append(node)
            paths.append(at)
            return Leaf(len(leaves) - 1)
        if node is None or isinstance(node, (bool, int, float, str)):
            return Constant(node)
        parts = _parts(node)
        if parts is None:
            raise SourceError(
                f"{at or 'the value'} is a {type(node).__module__}.{type(node).__qualname__}, which is neither a "
                "tensor, a container of tensors, nor a plain constant",
                hint="pass tensors, numbers, strings, lists, tuples, dicts, named tuples or dataclasses",
            )
        keys, items, build = parts
        named = zip(keys, items, strict=True)
        return build(tuple(walk(item, f"{at}.{key}" if at else str(key)) for key, item in named))

    return Flattened(walk(value, path), leaves, paths)


_Build = Callable[[tuple[Tree, ...]], Tree]


def _parts(node: object) -> tuple[list[Any], list[Any], _Build] | None:
    """Take a container one level apart: its keys, its items, and how its tree node is built."""
    if isinstance(node, dict) and not dataclasses.is_dataclass(node):
        keys = tuple(node)
        if all(isinstance(key, (str, int)) for key in keys):
            return list(keys), list(node.values()), lambda items: Mapping(keys, items)
        return None
    fields = _record_fields(node)
    if fields is not None:
        name = type(node).__name__
        names = tuple(fields)
        return list(names), list(fields.values()), lambda items: Record(name, names, items)
    if isinstance(node, (list, tuple)):
        kind: Literal["list", "tuple"] = "list" if isinstance(node, list) else "tuple"
        return list(range(len(node))), list(node), lambda items: Sequence(kind, items)
    return None


def _record_fields(node: object) -> dict[str, Any] | None:
    if isinstance(node, tuple) and hasattr(node, "_fields"):
        return {name: getattr(node, name) for name in node._fields}
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        if isinstance(node, dict):  # transformers' ModelOutput: a dataclass which leaves out what is None
            return {str(key): value for key, value in node.items()}
        return {field.name: getattr(node, field.name) for field in dataclasses.fields(node)}
    return None


def unflatten(tree: Tree, leaves: list[Any]) -> Any:
    """Put the structure back around ``leaves``."""
    match tree:
        case Leaf(index):
            return leaves[index]
        case Constant(value):
            return value
        case Sequence(kind, items):
            built = [unflatten(item, leaves) for item in items]
            return built if kind == "list" else tuple(built)
        case Mapping(keys, items):
            return {key: unflatten(item, leaves) for key, item in zip(keys, items, strict=True)}
        case Record(name, fields, items):
            return _record_class(name, fields)(*(unflatten(item, leaves) for item in items))


@lru_cache(maxsize=256)
def _record_class(name: str, fields: tuple[str, ...]) -> Callable[..., Any]:
    try:
        return namedtuple(name, fields)
    except ValueError:  # a field that a named tuple can't have (an underscore first, a keyword)
        return lambda *items: dict(zip(fields, items, strict=True))
