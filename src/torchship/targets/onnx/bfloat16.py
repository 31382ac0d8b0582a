"""ONNX Runtime's bfloat16 tensors, which its Python side can't give to numpy: they travel as float32."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from torchship.targets.runner import Array

_BFLOAT16 = 16  # onnx.TensorProto.BFLOAT16
TYPE = "tensor(bfloat16)"


class Bfloat16Session:
    """Runs a session of which some inputs or outputs are bfloat16; looks like ``InferenceSession.run``."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._reduced = {value.name for value in session.get_inputs() if value.type == TYPE}

    def run(self, outputs: Sequence[str], feed: dict[str, Array]) -> list[Array]:
        """Round the inputs to the nearest bfloat16, run, widen the outputs."""
        values = {name: self._value(name, array) for name, array in feed.items()}
        return [_array(value) for value in self._session.run_with_ort_values(outputs, values)]

    def _value(self, name: str, array: Array) -> Any:
        import onnxruntime

        if name in self._reduced:
            return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(rounded(array), _BFLOAT16)
        return onnxruntime.OrtValue.ortvalue_from_numpy(array)


def rounded(array: Array) -> Array:
    """Give float32 as the upper 16 bits of the nearest bfloat16, ties to even; NaN stays NaN."""
    bits = np.asarray(array, np.float32, order="C").view(np.uint32)
    halves = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(array), np.uint16(0x7FC0), halves)


def widened(halves: Array) -> Array:
    """Give float32 for the upper 16 bits of each number."""
    return (halves.astype(np.uint32) << 16).view(np.float32)


def _array(value: Any) -> Array:
    if value.data_type() != TYPE:
        array: Array = value.numpy()
        return array
    count = int(np.prod(value.shape()))
    if count == 0:
        return np.zeros(value.shape(), np.float32)
    address = ctypes.cast(value.data_ptr(), ctypes.POINTER(ctypes.c_uint16))
    return widened(np.ctypeslib.as_array(address, (count,))).reshape(value.shape())
