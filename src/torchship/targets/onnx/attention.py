"""``aten::scaled_dot_product_attention`` for ONNX, where torch's own translation refuses it or answers otherwise."""

from __future__ import annotations

import math
from typing import Any

from onnxscript import ir
from onnxscript import opset18 as op
from onnxscript.function_libs.torch_lib.ops.nn import aten_scaled_dot_product_attention

_HEADED = 4  # axes: batch, heads, places, features
_FLOATS = (ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)


def attention(  # noqa: PLR0913, PLR0917 - torch's own signature
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    """Torch's own knows four axes alone, and for a row of which the mask hides every key gives NaN or a mean.

    Such a row gets zeros, as torch's softmax gives them.
    """
    if len(query.shape) != _HEADED:
        return _weighed(_scores(query, key, scale, is_causal), value, attn_mask)
    rest = (dropout_p, is_causal, scale, enable_gqa)
    if attn_mask is None:
        return aten_scaled_dot_product_attention(query, key, value, None, *rest)
    weight = attn_mask if attn_mask.dtype in _FLOATS else op.Where(attn_mask, _zero(query), _like(-math.inf, query))
    hidden = op.Equal(op.ReduceMax(weight, _axes(-1), keepdims=1), _like(-math.inf, weight))
    answer = aten_scaled_dot_product_attention(query, key, value, op.Where(hidden, _zero(weight), weight), *rest)
    return op.Where(hidden, _zero(answer), answer)


def _scores(query: Any, key: Any, scale: float | None, is_causal: bool) -> Any:
    rank = len(key.shape)
    order = [*range(rank - 2), rank - 1, rank - 2]
    factor = scale if scale is not None else 1 / math.sqrt(query.shape[-1])
    scores = op.MatMul(op.Mul(query, _like(factor, query)), op.Transpose(key, perm=order))
    if not is_causal:
        return scores
    seen = op.Trilu(op.Expand(_like(1.0, scores), op.Shape(scores)), upper=0)
    return op.Where(op.Equal(seen, _zero(scores)), _like(-math.inf, scores), scores)


def _weighed(scores: Any, value: Any, mask: Any) -> Any:
    if mask is not None:
        shown = mask.dtype == ir.DataType.BOOL
        scores = op.Where(mask, scores, _like(-math.inf, scores)) if shown else op.Add(scores, mask)
    weights: Any = op.Softmax(scores, axis=-1)
    return op.MatMul(op.Where(op.IsNaN(weights), _zero(weights), weights), value)


def _like(number: float, tensor: Any) -> Any:
    made: Any = op.Constant(value_float=number)
    return op.CastLike(made, tensor)


def _zero(tensor: Any) -> Any:
    return _like(0.0, tensor)


def _axes(axis: int) -> Any:
    return op.Constant(value_ints=[axis])
