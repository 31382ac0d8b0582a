"""Names and sizes of the outputs, read off from what the model gave at several sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from torchship.errors import UsageError
from torchship.signature import Leaf, TensorSpec, Tree
from torchship.signature import Mapping as MappingTree
from torchship.signature import Record as RecordTree


@dataclass(frozen=True)
class Seen:
    """The shapes of one call's outputs, and the dims' sizes that the call had."""

    sizes: dict[str, int]
    shapes: tuple[tuple[int, ...], ...]


def output_names(tree: Tree, paths: Sequence[str], given: tuple[str, ...]) -> tuple[str, ...]:
    """Name the outputs: as given, else ``output`` for one, a dict's by its keys, else ``output_0`` and on."""
    if given:
        if len(given) != len(paths):
            raise UsageError(f"names gives {len(given)} output names for {len(paths)} outputs")
        return given
    if isinstance(tree, Leaf):
        return ("output",)
    if isinstance(tree, (MappingTree, RecordTree)):
        return tuple(paths)
    return ("output",) if len(paths) == 1 else tuple(f"output_{place}" for place in range(len(paths)))


def output_specs(names: Sequence[str], tensors: Sequence[Tensor], seen: Sequence[Seen]) -> tuple[TensorSpec, ...]:
    """Tell each output axis: a number that never changed, a dim whose size it always had, or a dim of its own."""
    return tuple(
        TensorSpec(name, dtype_name(tensor), tuple(_size(name, place, axis, seen) for axis in range(tensor.dim())))
        for place, (name, tensor) in enumerate(zip(names, tensors, strict=True))
    )


def dtype_name(tensor: Tensor) -> str:
    """The element type as the signature names it."""
    return str(tensor.dtype).removeprefix("torch.")


def _size(name: str, place: int, axis: int, seen: Sequence[Seen]) -> int | str:
    found = [each.shapes[place][axis] if axis < len(each.shapes[place]) else -1 for each in seen]
    if len(set(found)) == 1 and (len(seen) == 1 or not _follows(found, seen)):
        return found[0]
    return _follows(found, seen) or f"{name}_dim{axis}"


def _follows(found: list[int], seen: Sequence[Seen]) -> str | None:
    """The dim whose size the axis had in every call."""
    for dim in seen[0].sizes:
        if all(size == each.sizes.get(dim) for size, each in zip(found, seen, strict=True)):
            return dim
    return None


def floating_epsilon(tensors: Sequence[Tensor]) -> float:
    """The unit roundoff of the coarsest floating type among ``tensors``; float32's where there is none."""
    steps = [torch.finfo(tensor.dtype).eps for tensor in tensors if tensor.is_floating_point() or tensor.is_complex()]
    return max(steps, default=float(torch.finfo(torch.float32).eps))
