"""Inputs that the capture never saw: other values, extremes, and other sizes of every dynamic dim."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from torchship.errors import UsageError
from torchship.models import draw
from torchship.models.contradictions import check_range
from torchship.models.flat import result_tree
from torchship.models.model import Axes, Model
from torchship.signature import Dim

_MOST_OF_THE_USERS = 6
_LARGEST = 64  # a fresh size is at most so many times the example's: the proof must fit where the model runs


@dataclass(frozen=True)
class FreshInput:
    """Flat tensors for one call. ``origin``: ``example``, ``user``, or how they were drawn.

    ``instead``: of the same sizes, with more of the example's own structure, where the model refuses ``tensors``.
    """

    origin: str
    tensors: tuple[Tensor, ...]
    instead: tuple[tuple[Tensor, ...], ...] = ()


def example_for(model: Model, axes: tuple[Axes, ...]) -> tuple[Tensor, ...]:
    """The example to capture with: a dynamic axis of size 1 is doubled, since a capture takes 1 for a constant."""
    free = _usual(model.examples, axes)
    ones = {name: (dim, size) for name, (dim, size) in free.items() if size == 1 and (dim.max is None or dim.max >= 2)}
    grown = []
    for tensor, dims in zip(model.examples, axes, strict=True):
        for axis, dim in dims.items():
            if dim.origin.name in ones:
                again = torch.arange(dim.follow(2)) % tensor.shape[axis]
                tensor = tensor.index_select(axis, again)  # noqa: PLW2901
        grown.append(tensor.clone(memory_format=torch.contiguous_format))  # strides of size-1 axes too
    return tuple(grown)


def _usual(examples: tuple[Tensor, ...], axes: tuple[Axes, ...]) -> dict[str, tuple[Dim, int]]:
    """The dims that follow from no other, each with its size in the example.

    Raises:
        UsageError: the example has another size where a dim follows from one.
    """
    free: dict[str, tuple[Dim, int]] = {}
    told = [(dim, t.shape[axis]) for t, dims in zip(examples, axes, strict=True) for axis, dim in dims.items()]
    for dim, size in sorted(told, key=lambda each: bool(each[0].root)):  # those with a range of their own first
        root, rest = divmod(size - dim.offset, dim.factor)
        known = free.setdefault(dim.origin.name, (dim.origin, root))[1]
        if not dim.root:
            check_range(dim, size)
        if rest or (dim.root and root != known):
            raise UsageError(
                f"the example's size {dim.name} is {size}, which doesn't follow from {dim.root} = {known}",
                hint="give an example whose sizes are as dynamic_shapes says",
            )
    return free


def fresh_inputs(model: Model, axes: tuple[Axes, ...], seed: int = 7) -> Iterator[FreshInput]:
    """Give the user's further inputs first, then drawn ones: usual values, extremes, fresh sizes."""
    for given in islice(_from_user(model), _MOST_OF_THE_USERS):
        yield FreshInput("user", given)
    generator = torch.Generator().manual_seed(seed)
    base = example_for(model, axes)
    usual = {name: size for name, (_, size) in _usual(base, axes).items()}
    for style in ("usual", "zero", "low", "high", "large"):
        yield _drawn(style, style, base, tuple(tuple(each.shape) for each in base), {}, generator)
    for sizes in fresh_sizes(base, axes):
        shapes = tuple(_resized(each, dims, sizes) for each, dims in zip(base, axes, strict=True))
        told = ", ".join(f"{name}={size}" for name, size in sizes.items())
        yield _drawn(told, "usual", base, shapes, {usual[name]: size for name, size in sizes.items()}, generator)


def _drawn(
    origin: str, style: draw.Style, base: Sequence[Tensor], shapes: Sequence[tuple[int, ...]],
    sizes: Mapping[int, int], generator: torch.Generator,
) -> FreshInput:  # fmt: skip
    pairs = list(zip(base, shapes, strict=True))
    plain = tuple(draw.fresh(each, shape, style, generator) for each, shape in pairs)
    ordered = tuple(draw.structured(each, drawn.clone(), sizes) for each, drawn in zip(base, plain, strict=True))
    whole = tuple(
        drawn if each.is_floating_point() else draw.structured(each, draw.stretched(each, shape), sizes)
        for (each, shape), drawn in zip(pairs, plain, strict=True)
    )
    return FreshInput(origin, plain, (ordered, whole) if any(not each.is_floating_point() for each in base) else ())


def fresh_sizes(examples: tuple[Tensor, ...], axes: tuple[Axes, ...]) -> list[dict[str, int]]:
    """Sizes to prove: for every free dim 1, 2, an odd one and the ends of its range, one by one, then all.

    A dim that follows from another is none of them.
    """
    dims = _usual(examples, axes)
    usual = {name: size for name, (_, size) in dims.items()}
    tried: list[dict[str, int]] = []
    for name, (dim, size) in dims.items():
        tried += [usual | {name: other} for other in _sizes(dim, size)]
    if len(dims) > 1:
        tried.append({name: _sizes(dim, size)[0] for name, (dim, size) in dims.items()})
        tried.append({name: _sizes(dim, size)[-1] for name, (dim, size) in dims.items()})
    return [sizes for place, sizes in enumerate(tried) if sizes not in tried[:place]]


def _sizes(dim: Dim, usual: int) -> list[int]:
    wanted = {1, 2, 3, 2 * usual + 1, dim.min, dim.max or 0}
    return sorted(size for size in wanted if dim.min <= size <= min(dim.max or size, _LARGEST * usual)) or [usual]


def _resized(tensor: Tensor, axes: Axes, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(
        axes[axis].follow(sizes[axes[axis].origin.name]) if axis in axes else size
        for axis, size in enumerate(tensor.shape)
    )


def _from_user(model: Model) -> Iterator[tuple[Tensor, ...]]:
    """The source dict's ``fresh``: examples, or a callable that gives one or several."""
    fresh = model.description.fresh
    if fresh is None:
        return
    if not callable(fresh):
        yield from (flat_example(model, each) for each in fresh)
        return
    takes_number = bool(inspect.signature(fresh).parameters)
    for number in range(_MOST_OF_THE_USERS):
        made = fresh(number) if takes_number else fresh()
        if isinstance(made, (list, Iterator)):
            yield from (flat_example(model, each) for each in made)
            return
        yield flat_example(model, made)


def flat_example(model: Model, given: Any) -> tuple[Tensor, ...]:
    """Read one example in any of its forms: a tuple of arguments, a dict by input names, a lone tensor or array.

    Raises:
        UsageError: it doesn't hold what the model takes.
    """
    if isinstance(given, Mapping) and set(model.names) <= set(given):
        return tuple(as_tensor(given[name]) for name in model.names)
    arguments = given if type(given) is tuple else (given,)
    tensors = result_tree(_arrays_too(arguments))[1]
    if len(tensors) != len(model.names):
        raise UsageError(
            f"an example holds {len(tensors)} tensors, the model takes {len(model.names)} ({', '.join(model.names)})",
            hint="give a tuple of the call's arguments, or a dict by input names",
        )
    return tuple(tensors)


def as_tensor(value: Any) -> Tensor:
    """A tensor of a tensor or an array."""
    return value.detach() if isinstance(value, Tensor) else torch.as_tensor(value)


def _arrays_too(value: Any) -> Any:
    """Numpy arrays count as tensors in examples."""
    if isinstance(value, dict):
        return {key: _arrays_too(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(_arrays_too(item) for item in value)
    return torch.as_tensor(value) if hasattr(value, "__array__") and not isinstance(value, Tensor) else value
