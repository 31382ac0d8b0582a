"""``Dim.AUTO`` and ``Dim.DYNAMIC``: which of these sizes are free, which go together, and which the model keeps.

torch.export finds that out from its guards, and bakes in what it must; here the model itself is asked, so that a
route which needn't bake a size in may keep it open.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from torchship.errors import SourceError
from torchship.models import eager
from torchship.models.model import Axes, Model
from torchship.signature import Dim


class Hint(Dim, frozen=True):
    """A size that the user wants open if it can be."""


def settled(model: Model) -> tuple[tuple[Axes, ...], str]:
    """Give the axes with every hint as a dim of its own, as one with others, or as a fixed size; and a note on it."""
    sizes = {
        dim.name: tensor.shape[axis]
        for tensor, dims in zip(model.examples, model.axes, strict=True)
        for axis, dim in dims.items()
        if isinstance(dim, Hint)
    }
    names: dict[str, str] = {}
    for name in sizes:
        if name not in names:
            together = _together(model, name, sizes)
            names |= dict.fromkeys(together, name)
    axes = tuple(_named(dims, names) for dims in model.axes)
    kept = [name for name in sizes if name not in names]
    joined = [f"{name} = {first}" for name, first in names.items() if name != first]
    told = [f"of the sizes that were left to be found, {', '.join(joined)}"] if joined else []
    told += [f"the model takes no other size for {', '.join(kept)}: fixed"] if kept else []
    return axes, "; ".join(told)


def _together(model: Model, name: str, sizes: dict[str, int]) -> tuple[str, ...]:
    """The hints that must change with ``name``, it among them; none where it can't change at all."""
    alike = [other for other, size in sizes.items() if size == sizes[name] and other != name]
    tries = [(name,), *((name, other) for other in alike), (name, *alike)]
    return next((each for each in tries if _answers(model, each)), ())


def _answers(model: Model, names: Iterable[str]) -> bool:
    """Whether the model takes the example with these sizes one larger and one smaller."""
    wanted = set(names)
    for more in (1, -1):
        inputs = tuple(_resized(t, dims, wanted, more) for t, dims in zip(model.examples, model.axes, strict=True))
        try:
            eager.call(model.flat, inputs)
        except SourceError:
            return False
    return True


def _resized(tensor: Tensor, dims: Axes, names: set[str], more: int) -> Tensor:
    for axis, dim in dims.items():
        size = tensor.shape[axis]
        if dim.name in names and size:
            tensor = tensor.index_select(axis, torch.arange(max(1, size + more)) % size)
    return tensor


def _named(dims: Axes, names: dict[str, str]) -> Axes:
    kept = {axis: dim for axis, dim in dims.items() if not isinstance(dim, Hint) or dim.name in names}
    return {axis: Dim(names[dim.name]) if isinstance(dim, Hint) else dim for axis, dim in kept.items()}
