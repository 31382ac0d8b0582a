"""The signature: named inputs and outputs with dtypes and dims, and how a call is put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from torchship.signature.tree import Tree

Shape = tuple[int | str, ...]


class Dim(msgspec.Struct, frozen=True, omit_defaults=True):
    """A named size that may differ from call to call: ``min`` to ``max``, both included; no max is no bound.

    One with a ``root`` follows from the dim of that name: it is ``factor`` times it, plus ``offset``.
    """

    name: str
    min: int = 1
    max: int | None = None
    root: str = ""
    factor: int = 1
    offset: int = 0

    @staticmethod
    def derived(root: Dim, factor: int, offset: int) -> Dim:
        """The dim that is always ``factor`` times ``root`` plus ``offset``, named like that: ``2*batch+1``."""
        name = f"{factor}*{root.name}" if factor != 1 else root.name
        name += f"{offset:+d}" if offset else ""
        most = None if root.max is None else factor * root.max + offset
        return Dim(name, factor * root.min + offset, most, root.name, factor, offset)

    def follow(self, root: int) -> int:
        """Its size where its root has the size ``root``."""
        return self.factor * root + self.offset

    @property
    def origin(self) -> Dim:
        """The dim that it follows from, with the range that its own leaves; itself where it follows from none."""
        if not self.root:
            return self
        least = max(1, -(-(self.min - self.offset) // self.factor))
        return Dim(self.root, least, None if self.max is None else (self.max - self.offset) // self.factor)


class TensorSpec(msgspec.Struct, frozen=True):
    """One tensor: a name, an element type, and a size or a dim's name for each axis."""

    name: str
    dtype: str
    shape: Shape


class Parameter(msgspec.Struct, frozen=True):
    """One parameter of ``forward``. The indices of its tree's leaves count over the whole signature's inputs."""

    name: str
    tree: Tree
    kind: Literal["positional", "keyword"] = "positional"


class Signature(msgspec.Struct, frozen=True):
    """What a model takes and gives."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    dims: tuple[Dim, ...]
    call: tuple[Parameter, ...]
    result: Tree

    def dim(self, name: str) -> Dim:
        """Give the dim called ``name``; an output's own dim (known only from running) has no bounds."""
        return next((dim for dim in self.dims if dim.name == name), Dim(name, 0))

    def sizes(self, free: Mapping[str, int]) -> dict[str, int]:
        """The sizes of all dims, from those of the dims that follow from no other."""
        return {dim.name: dim.follow(free[dim.root]) if dim.root else free[dim.name] for dim in self.dims}

    @property
    def batch(self) -> str | None:
        """The dim that is axis 0 of every input and output: what may be cut and joined; None where there is none."""
        firsts = {spec.shape[0] if spec.shape else None for spec in (*self.inputs, *self.outputs)}
        first = firsts.pop() if len(firsts) == 1 else None
        return first if isinstance(first, str) else None
