"""The signature: named inputs and outputs with dtypes and dims, and how a call is put together."""

from __future__ import annotations

from typing import Literal

import msgspec

from torchship.signature.tree import Tree

Shape = tuple[int | str, ...]


class Dim(msgspec.Struct, frozen=True):
    """A named size that may differ from call to call: ``min`` to ``max``, both included; no max is no bound."""

    name: str
    min: int = 1
    max: int | None = None


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

    @property
    def batch(self) -> str | None:
        """The dim that is axis 0 of every input and output: what may be cut and joined; None where there is none."""
        firsts = {spec.shape[0] if spec.shape else None for spec in (*self.inputs, *self.outputs)}
        first = firsts.pop() if len(firsts) == 1 else None
        return first if isinstance(first, str) else None
