"""What the server says of itself and of its model, as the Open Inference Protocol has it."""

from __future__ import annotations

from typing import Any

from torchship import __version__
from torchship.runtime import ShippedModel
from torchship.serve.v2.datatypes import datatype
from torchship.signature import TensorSpec

server: dict[str, Any] = {"name": "torchship", "version": __version__, "extensions": ["binary_tensor_data"]}


def model(name: str, version: str, shipped: ShippedModel) -> dict[str, Any]:
    """A model's metadata; a dynamic size is -1."""
    return {
        "name": name,
        "versions": [version],
        "platform": f"torchship_{shipped.artifact.target}",
        "inputs": [_tensor(spec) for spec in shipped.signature.inputs],
        "outputs": [_tensor(spec) for spec in shipped.signature.outputs],
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    shape = [size if isinstance(size, int) else -1 for size in spec.shape]
    return {"name": spec.name, "datatype": datatype(spec.dtype), "shape": shape}
