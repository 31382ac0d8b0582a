"""Golden samples: inputs with the outputs that the reference gave, as safetensors; bfloat16 travels as float32.

Keys are ``input:NAME`` and ``output:NAME``; ``undecided:NAME`` marks what rounding alone decides of an output.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from torchship.errors import MalformedError
from torchship.signature import Signature

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Golden:
    """One call: arrays in the signature's order.

    ``undecided``: a mask for each output, or None; where it is true, any other value is as good (a tie, chaos).
    """

    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    undecided: tuple[Array | None, ...] = ()

    def settled(self, place: int, array: Array) -> Array:
        """Give ``array``, an answer for output ``place``, with the reference's own values where that is undecided."""
        mask = self.undecided[place] if self.undecided else None
        if mask is None or array.shape != mask.shape:
            return array
        return np.where(mask, self.outputs[place], array).astype(array.dtype)


def write(path: Path, signature: Signature, golden: Golden) -> None:
    """Write one sample."""
    from safetensors.numpy import save_file

    named = {f"input:{s.name}": a for s, a in zip(signature.inputs, golden.inputs, strict=True)}
    named |= {f"output:{s.name}": a for s, a in zip(signature.outputs, golden.outputs, strict=True)}
    marked = zip(signature.outputs, golden.undecided, strict=bool(golden.undecided))
    named |= {f"undecided:{s.name}": mask for s, mask in marked if mask is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: np.asarray(array, order="C") for key, array in named.items()}, path)


def read(path: Path, signature: Signature) -> Golden:
    """Read one sample.

    Raises:
        MalformedError: it isn't safetensors, or lacks a tensor of the signature.
    """
    from safetensors.numpy import load_file

    try:
        named = load_file(path)
        return Golden(
            tuple(named[f"input:{spec.name}"] for spec in signature.inputs),
            tuple(named[f"output:{spec.name}"] for spec in signature.outputs),
            tuple(named.get(f"undecided:{spec.name}") for spec in signature.outputs),
        )
    except Exception as error:
        raise MalformedError(
            f"{path.name} holds no golden sample of this signature: {error}", where=str(path)
        ) from error
