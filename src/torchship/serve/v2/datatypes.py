"""The Open Inference Protocol's names of element types."""

from __future__ import annotations

from torchship.errors import UnavailableError
from torchship.signature import Signature

BF16 = "BF16"

_NAMES = {
    "bool": "BOOL",
    "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
    "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
    "float16": "FP16", "float32": "FP32", "float64": "FP64", "bfloat16": BF16,
}  # fmt: skip


def datatype(dtype: str) -> str:
    """Give the protocol's name of a signature's dtype; raises KeyError where it has none (complex numbers)."""
    return _NAMES[dtype]


def check_servable(signature: Signature) -> None:
    """Raise UnavailableError where the protocol has no name for a dtype of the signature."""
    for spec in (*signature.inputs, *signature.outputs):
        if spec.dtype not in _NAMES:
            raise UnavailableError(
                f"{spec.name} is {spec.dtype}, for which the Open Inference Protocol has no element type",
                hint="give the model real inputs and outputs (torch.view_as_real), and ship it again",
            )
