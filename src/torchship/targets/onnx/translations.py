"""Operators that torch's exporter gets wrong, translated right: its own table is overridden by this one."""

from __future__ import annotations

from typing import Any

import torch
from onnxscript import ir
from onnxscript import opset18 as op
from onnxscript.function_libs.torch_lib.ops.core import aten_div_mode, aten_floor_divide, aten_scatter_reduce

from torchship.errors import ConversionError
from torchship.targets.onnx.attention import attention

_FLOATS = (ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)


def scatter_reduce(self: Any, dim: int, index: Any, src: Any, reduce: str, include_self: bool = True) -> Any:
    """``aten::scatter_reduce.two``; torch's own makes a plain scatter of the mean.

    The mean is the sum over the count: ONNX's ScatterElements knows add, mul, min and max alone. Where ``self``
    doesn't count, the places that are written to start from 0.
    """
    if reduce != "mean":
        return aten_scatter_reduce(self, dim, index, src, reduce, include_self)
    if src.dtype not in _FLOATS:
        raise ConversionError(
            f"scatter_reduce('mean') of {src.dtype} has no translation to ONNX",
            hint="reduce floating-point values",
            op="aten.scatter_reduce",
        )
    one: Any = op.CastLike(op.Constant(value_float=1.0), src)  # type: ignore[type-var]
    ones = op.Expand(one, op.Shape(index))
    total, count = self, op.Expand(one, op.Shape(self))
    if not include_self:
        nothing = op.Sub(ones, ones)
        total = op.ScatterElements(total, index, nothing, axis=dim)
        count = op.ScatterElements(count, index, nothing, axis=dim)
    total = op.ScatterElements(total, index, src, axis=dim, reduction="add")
    return op.Div(total, op.ScatterElements(count, index, ones, axis=dim, reduction="add"))


def div_mode(self: Any, other: Any, rounding_mode: str | None = None) -> Any:
    """``aten::div.Tensor_mode``; torch's own divides whole numbers in float32, which holds 24 bits of them."""
    if rounding_mode is None or not self.dtype.is_integer():
        return aten_div_mode(self, other, rounding_mode)
    return op.Div(self, other) if rounding_mode == "trunc" else aten_floor_divide(self, other)


TRANSLATIONS: dict[Any, Any] = {
    torch.ops.aten.div.Tensor_mode: div_mode,
    torch.ops.aten.scatter_reduce.two: scatter_reduce,
    torch.ops.aten.scaled_dot_product_attention.default: attention,
}
