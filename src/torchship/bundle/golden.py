"""Golden samples: inputs with the outputs that the reference gave, as safetensors; bfloat16 travels as float32."""

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
    """One call: arrays in the signature's order."""

    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]


def write(path: Path, signature: Signature, golden: Golden) -> None:
    """Write one sample; its keys are ``input:NAME`` and ``output:NAME``."""
    from safetensors.numpy import save_file

    named = {f"input:{s.name}": a for s, a in zip(signature.inputs, golden.inputs, strict=True)}
    named |= {f"output:{s.name}": a for s, a in zip(signature.outputs, golden.outputs, strict=True)}
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
        )
    except Exception as error:
        raise MalformedError(
            f"{path.name} holds no golden sample of this signature: {error}", where=str(path)
        ) from error
