"""Weights kept as int8, each output channel with a scale of its own: a quarter of the size; computed in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx_ir import DataType, Value

from torchship.bundle.artifact import Artifact, Variant
from torchship.targets.onnx.passes._weights import Head, store_weights
from torchship.targets.passes import Work
from torchship.targets.runner import Needs

LEAST = 128  # elements
_GREATEST = 127


class Int8Weights:
    """Symmetric: zero stays zero."""

    needs = Needs(("onnx", "onnxscript"), "build")

    def apply(self, work: Work, variant: Variant, out: Path) -> Artifact:
        """Write ``model.onnx``."""
        return store_weights(work, variant, out, LEAST, rounded)


def rounded(head: Head, array: Any) -> Value | None:
    """The weight as int8 times a scale; None for biases and norms: few, and what they shift is not averaged out."""
    if array.ndim < 2:
        return None
    axis = min(range(array.ndim), key=lambda each: _loss(array, each))
    scale = _scale(array, axis)
    whole = head.weight(np.rint(array / scale).astype(np.int8), "int8")
    factor = head.weight(scale, "scale")
    wide = head.add("Cast", whole, shape=array.shape, to=int(DataType.FLOAT))
    return head.add("Mul", wide, factor, shape=array.shape)


def _scale(array: Any, axis: int) -> Any:
    others = tuple(each for each in range(array.ndim) if each != axis)
    most = np.abs(array).max(axis=others, keepdims=True)
    return np.where(most > 0, most / _GREATEST, 1.0).astype(np.float32)


def _loss(array: Any, axis: int) -> float:
    """What rounding loses, and what the scales take: those are as many as the axis is long."""
    scale = _scale(array, axis)
    lost = float(np.square(np.rint(array / scale) * scale - array).mean())
    return lost * float(1 + 4 * scale.size / array.size)


PASS = Int8Weights()
