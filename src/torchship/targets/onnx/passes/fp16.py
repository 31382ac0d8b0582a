"""Weights kept as float16: half the size; what is computed stays float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx_ir import DataType, Value

from torchship.bundle.artifact import Artifact, Variant
from torchship.targets.onnx.passes._weights import Head, store_weights
from torchship.targets.passes import Work
from torchship.targets.runner import Needs

_LEAST = 32  # elements
_GREATEST = float(np.finfo(np.float16).max)


class Fp16:
    """Of a weight beyond float16's range all stays float32."""

    needs = Needs(("onnx", "onnxscript"), "build")

    def apply(self, work: Work, variant: Variant, out: Path) -> Artifact:
        """Write ``model.onnx``."""
        return store_weights(work, variant, out, _LEAST, _halved)


def _halved(head: Head, array: Any) -> Value | None:
    if np.abs(array).max(initial=0.0) > _GREATEST:
        return None
    half = head.weight(array.astype(np.float16), "float16")
    return head.add("Cast", half, shape=array.shape, to=int(DataType.FLOAT))


PASS = Fp16()
