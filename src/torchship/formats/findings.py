"""What a look at a file found."""

from __future__ import annotations

import msgspec

from torchship.signature import TensorSpec


class Tensor(msgspec.Struct, frozen=True):
    """A tensor as far as the file tells: ``dtype`` and ``shape`` are None where it doesn't."""

    name: str
    dtype: str | None = None
    shape: tuple[int | str, ...] | None = None


class Findings(msgspec.Struct, frozen=True):
    """What a file is and holds.

    ``reasons``: why it isn't safe to open. ``tensors``: weights or data, not a call's. ``artifacts``: names of a
    bundle's, best first.
    """

    kind: str
    reasons: tuple[str, ...] = ()
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    tensors: tuple[Tensor, ...] = ()
    artifacts: tuple[str, ...] = ()

    @property
    def safe(self) -> bool:
        """Whether nothing was found that opening it would run, reach or exhaust."""
        return not self.reasons


def described(specs: tuple[TensorSpec, ...] | list[TensorSpec]) -> tuple[Tensor, ...]:
    """The tensors of a signature."""
    return tuple(Tensor(spec.name, spec.dtype, spec.shape) for spec in specs)
