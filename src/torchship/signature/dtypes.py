"""Element types by their numpy names; bfloat16, which numpy lacks, travels as float32."""

from __future__ import annotations

import numpy as np

from torchship.errors import UsageError

BFLOAT16 = "bfloat16"

NAMES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "float16", "float32", "float64", "complex64", "complex128", BFLOAT16,
)  # fmt: skip


def numpy_dtype(name: str) -> np.dtype[np.generic]:
    """Give the numpy dtype that carries elements of type ``name``; raises UsageError on an unknown one."""
    if name == BFLOAT16:
        return np.dtype(np.float32)
    if name not in NAMES:
        raise UsageError(f"unknown element type {name!r}", hint=f"one of: {', '.join(NAMES)}")
    return np.dtype(name)
