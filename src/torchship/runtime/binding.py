"""From a call's arguments to the flat arrays of the signature, and back from flat answers to the call's result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from torchship.errors import InputError
from torchship.runtime.lossless import array_for
from torchship.signature import Constant, Leaf, Mapping, Record, Signature, TensorSpec, Tree, numpy_dtype, unflatten
from torchship.signature import Sequence as SequenceTree
from torchship.signature.check import check_arrays, check_relations
from torchship.targets import Array


class Expected:
    """What one input must be, unpacked for a check of well under a microsecond."""

    __slots__ = ("dims", "dtype", "fixed", "rank", "spec")

    def __init__(self, signature: Signature, spec: TensorSpec) -> None:
        self.spec = spec
        self.dtype = numpy_dtype(spec.dtype)
        self.rank = len(spec.shape)
        self.fixed = tuple((axis, size) for axis, size in enumerate(spec.shape) if isinstance(size, int))
        dims = [(axis, signature.dim(size)) for axis, size in enumerate(spec.shape) if isinstance(size, str)]
        self.dims = tuple((axis, dim.name, dim.min, dim.max if dim.max is not None else np.inf) for axis, dim in dims)


class Binding:
    """A signature, made ready for many calls."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._expected = tuple(Expected(signature, spec) for spec in signature.inputs)
        self._lone_input = (
            len(self._expected) == 1
            and [p.tree for p in signature.call] == [Leaf(0)]
            and (signature.call[0].kind == "positional")
        )
        self._lone_output = signature.result == Leaf(0)
        self._related = any(dim.root for dim in signature.dims)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Array]:
        """Give the call's arrays in the signature's order, checked.

        Raises:
            InputError: names the argument or input that doesn't fit.
        """
        if self._lone_input and len(args) == 1 and not kwargs:
            return self.check([args[0]])
        return self.check(_Arguments(self._signature, args, kwargs).flat())

    def check(self, values: Sequence[Any]) -> list[Array]:
        """Give ``values`` as arrays that fit; raises InputError."""
        sizes: dict[str, int] = {}
        for value, want in zip(values, self._expected, strict=True):
            if type(value) is not np.ndarray or value.dtype != want.dtype or not value.flags.c_contiguous:
                return self._check_slowly(values)
            shape = value.shape
            if len(shape) != want.rank:
                return self._check_slowly(values)
            for axis, size in want.fixed:
                if shape[axis] != size:
                    return self._check_slowly(values)
            for axis, name, least, most in want.dims:
                size = shape[axis]
                if not least <= size <= most or sizes.setdefault(name, size) != size:
                    return self._check_slowly(values)
        if self._related:
            check_relations(self._signature, sizes)
        return cast("list[Array]", values)

    def _check_slowly(self, values: Sequence[Any]) -> list[Array]:
        arrays = [array_for(spec, value) for spec, value in zip(self._signature.inputs, values, strict=True)]
        check_arrays(self._signature, arrays)
        return [np.ascontiguousarray(array).reshape(array.shape) for array in arrays]

    def result(self, answers: list[Array]) -> Any:
        """Put the call's structure back around flat answers."""
        return answers[0] if self._lone_output else unflatten(self._signature.result, answers)


class _Arguments:
    """One call's arguments, being taken apart along the signature's tree."""

    def __init__(self, signature: Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._signature = signature
        self._args = args
        self._kwargs = dict(kwargs)
        self._leaves: dict[int, Any] = {}

    def flat(self) -> list[Any]:
        positional = [p for p in self._signature.call if p.kind == "positional"]
        if len(self._args) > len(positional):
            raise InputError(
                f"{len(self._args)} positional arguments were given, the model takes {len(positional)}",
                hint=self._takes(),
            )
        given = {p.name: value for p, value in zip(positional, self._args, strict=False)}
        for name, value in self._kwargs.items():
            if name in given:
                raise InputError(f"the argument {name} was given twice", hint=self._takes())
            given[name] = value
        for parameter in self._signature.call:
            self._take(parameter.name, parameter.tree, given)
        if given:
            raise InputError(f"unknown argument {next(iter(given))}", hint=self._takes())
        return [self._leaves[index] for index in range(len(self._signature.inputs))]

    def _take(self, name: str, tree: Tree, given: dict[str, Any]) -> None:
        if name in given:
            self._walk(tree, given.pop(name), name)
        elif not _constant(tree):
            raise InputError(f"the argument {name} is missing", hint=self._takes())

    def _walk(self, tree: Tree, value: Any, at: str) -> None:
        match tree:
            case Leaf(index):
                self._leaves[index] = value
            case Constant(constant):
                if type(value) is not type(constant) or value != constant:
                    raise InputError(
                        f"{at} is {value!r}, the model was captured with {constant!r}, which can't be changed any more",
                        hint=f"leave {at} out, or ship the model again with {at}={value!r}",
                    )
            case SequenceTree(_, items):
                for index, (below, item) in enumerate(zip(items, _items(value, len(items), at), strict=True)):
                    self._walk(below, item, f"{at}.{index}")
            case Mapping(keys, items) | Record(_, keys, items):
                for key, below, item in zip(keys, items, _fields(value, keys, items, at), strict=True):
                    self._walk(below, item, f"{at}.{key}")

    def _takes(self) -> str:
        return f"the model takes: {', '.join(p.name for p in self._signature.call)}"


def _constant(tree: Tree) -> bool:
    """Whether there is no tensor in it: such an argument may be left out."""
    if isinstance(tree, (Leaf, Constant)):
        return isinstance(tree, Constant)
    return all(_constant(item) for item in tree.items)


def _items(value: Any, count: int, at: str) -> list[Any]:
    if not isinstance(value, (list, tuple)) or len(value) != count:
        raise InputError(f"{at} must be a list or tuple of {count}, it is {_told(value)}")
    return list(value)


def _fields(value: Any, keys: Sequence[str | int], items: Sequence[Tree], at: str) -> list[Any]:
    """Give the fields of a mapping, named tuple or dataclass; what holds only constants may be left out."""
    if isinstance(value, dict):
        found = value
    elif isinstance(value, (list, tuple)) and len(value) == len(keys):
        found = dict(zip(keys, value, strict=True))
    else:
        found = {key: getattr(value, str(key)) for key in keys if hasattr(value, str(key))}
    unknown = [key for key in found if key not in keys]
    missing = [key for key, item in zip(keys, items, strict=True) if key not in found and not _constant(item)]
    if unknown or missing:
        told = f"lacks {missing[0]!r}" if missing else f"has an unknown key {unknown[0]!r}"
        raise InputError(f"{at} {told}", hint=f"its keys: {', '.join(str(key) for key in keys)}")
    return [found[key] if key in found else _own(item) for key, item in zip(keys, items, strict=True)]


def _own(tree: Tree) -> Any:
    return unflatten(tree, [])


def _told(value: Any) -> str:
    return (
        f"a {type(value).__name__} of {len(value)}" if isinstance(value, (list, tuple)) else f"a {type(value).__name__}"
    )
