"""Elementwise operators, and the whole numbers' division, written in the ones that every converter has."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from torchship.lowering.program import Table

_SMALL = (torch.uint8, torch.int8, torch.int16)
aten = torch.ops.aten


def _trunc(x: Tensor) -> Tensor:
    return torch.where(x < 0, x.ceil(), x.floor()) if x.is_floating_point() else x


def _exp2(x: Tensor) -> Tensor:
    return torch.pow(2.0, x)


def _signbit(x: Tensor) -> Tensor:
    """A zero's sign shows in its reciprocal."""
    return (x < 0) | ((x == 0) & (1 / x < 0)) if x.is_floating_point() else x < 0


def _copysign(x: Tensor, y: Tensor) -> Tensor:
    return torch.where(_signbit(y), -x.abs(), x.abs())


def _fmax(x: Tensor, y: Tensor) -> Tensor:
    return torch.where(y.isnan(), x, torch.where(x.isnan(), y, torch.maximum(x, y)))


def _fmin(x: Tensor, y: Tensor) -> Tensor:
    return torch.where(y.isnan(), x, torch.where(x.isnan(), y, torch.minimum(x, y)))


def _hypot(x: Tensor, y: Tensor) -> Tensor:
    """The larger of the two taken out, lest its square overflow."""
    large, small = torch.maximum(x.abs(), y.abs()), torch.minimum(x.abs(), y.abs())
    ratio = small / torch.where(large == 0, 1.0, large)
    return large * (1 + ratio * ratio).sqrt()


def _ldexp(x: Tensor, y: Tensor) -> Tensor:
    return x * torch.pow(2.0, y)


def _round_to(x: Tensor, *, decimals: int) -> Tensor:
    factor = 10.0 ** abs(decimals)
    return (x * factor).round() / factor if decimals >= 0 else (x / factor).round() * factor


def _logaddexp2(x: Tensor, y: Tensor) -> Tensor:
    return torch.logaddexp(x * math.log(2), y * math.log(2)) / math.log(2)


def vector_norm(  # noqa: PLR0911 - one return a kind of norm
    x: Tensor, order: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Tensor:
    """``aten::linalg_vector_norm``, of all axes where ``dim`` is None."""
    sizes = (x if dtype is None else x.to(dtype)).abs()
    dims = list(range(x.dim())) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    if not x.dim():
        return sizes
    if order == math.inf:
        return sizes.amax(dims, keepdim)
    if order == -math.inf:
        return sizes.amin(dims, keepdim)
    if order == 0:
        return (sizes != 0).to(sizes.dtype).sum(dims, keepdim)
    if order == 1:
        return sizes.sum(dims, keepdim)
    if order == 2:
        return (sizes * sizes).sum(dims, keepdim).sqrt()
    return sizes.pow(order).sum(dims, keepdim).pow(1 / order)


def _told_all(operator: Any) -> Callable[..., Any]:
    """A spread with its axes and its correction told, where converters have other defaults than torch."""

    def lower(x: Tensor, dim: Any = None, *, correction: float | None = None, keepdim: bool = False) -> Any:
        if dim and correction is not None:
            return NotImplemented
        return operator(
            x, dim or list(range(x.dim())), correction=1 if correction is None else correction, keepdim=keepdim
        )

    return lower


def _dist(x: Tensor, y: Tensor, p: float = 2) -> Tensor:
    return vector_norm(x - y, p)


def _divide(x: Any, y: Any, *, rounding_mode: str | None = None) -> Any:
    """Whole numbers' division: converters round it towards zero, and small element types' to the nearest."""
    if rounding_mode is None or not _whole(x, y):
        return NotImplemented
    kind = torch.result_type(x, y)
    if kind in _SMALL:
        wide = [each.to(torch.int32) if isinstance(each, Tensor) else each for each in (x, y)]
        return aten.div.Tensor_mode(*wide, rounding_mode=rounding_mode).to(kind)
    if rounding_mode == "trunc":
        return NotImplemented
    return _floored(x, y, aten.div.Tensor_mode(x, y, rounding_mode="trunc"))


def _floor_divide(x: Any, y: Any) -> Any:
    return aten.div.Tensor_mode(x, y, rounding_mode="floor")


def _floored(x: Any, y: Any, quotient: Tensor) -> Tensor:
    rest: Tensor = x - quotient * y
    return quotient - ((rest != 0) & ((rest < 0) ^ _negative(y, rest))).to(quotient.dtype)


def _negative(y: Any, like: Tensor) -> Tensor:
    return y < 0 if isinstance(y, Tensor) else torch.full_like(like, y < 0, dtype=torch.bool)


def _whole(*values: Any) -> bool:
    return all(
        isinstance(each, int) or (isinstance(each, Tensor) and not each.is_floating_point() and not each.is_complex())
        for each in values
    )


def _remainder_of(x: Any, y: Tensor) -> Tensor:
    return torch.remainder(torch.full((), x, dtype=torch.result_type(x, y)), y)


def _addbmm(x: Tensor, y: Tensor, z: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return x * beta + torch.bmm(y, z).sum(0) * alpha


def _trilinear(  # noqa: PLR0913, PLR0917 - torch's own signature
    x: Tensor, y: Tensor, z: Tensor, expand_x: list[int], expand_y: list[int], expand_z: list[int],
    sumdim: list[int], unroll_dim: int = 1,  # noqa: ARG001
) -> Tensor:  # fmt: skip
    for place in range(x.dim() + len(expand_x)):
        x = x.unsqueeze(place) if place in expand_x else x
        y = y.unsqueeze(place) if place in expand_y else y
        z = z.unsqueeze(place) if place in expand_z else z
    return (x * y * z).sum(sumdim)


def _by_tensor(operator: Any) -> Callable[..., Tensor]:
    """The same operator, its number made a tensor, of the element type of the other side."""

    def lower(x: Any, y: Any) -> Tensor:
        like = x if isinstance(x, Tensor) else y
        made = [each if isinstance(each, Tensor) else torch.full((), each, dtype=like.dtype) for each in (x, y)]
        answer: Tensor = operator(*made)
        return answer

    return lower


def _shift_left(x: Tensor, places: int) -> Tensor:
    return x * int(2**places)


def _shift_right(x: Tensor, places: int) -> Tensor:
    return torch.div(x, 2**places, rounding_mode="floor")


def _subtract(x: Tensor, y: Any, alpha: Any = 1) -> Tensor:
    return torch.sub(x, y, alpha=alpha)


def _cumsum(x: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Any:
    """Of truth values: the count, where converters keep them truth values."""
    return torch.cumsum(x.to(dtype or torch.int64), dim) if x.dtype == torch.bool else NotImplemented


PLAIN: Table = {
    aten.trunc.default: _trunc,
    aten.exp2.default: _exp2,
    aten.signbit.default: _signbit,
    aten.copysign.Tensor: _copysign,
    aten.fmax.default: _fmax,
    aten.fmin.default: _fmin,
    aten.hypot.default: _hypot,
    aten.ldexp.Tensor: _ldexp,
    aten.round.decimals: _round_to,
    aten.logaddexp2.default: _logaddexp2,
    aten.dist.default: _dist,
    aten.addbmm.default: _addbmm,
    aten._trilinear.default: _trilinear,
}
SPREADS: Table = {each: _told_all(each) for each in (aten.var.correction, aten.std.correction)}
WHOLE: Table = {
    aten.floor_divide.default: _floor_divide,
    aten.div.Tensor_mode: _divide,
    aten.div.Scalar_mode: _divide,
    aten.remainder.Scalar_Tensor: _remainder_of,
    aten.cumsum.default: _cumsum,
    aten.sub.Scalar: _subtract,
    aten.bitwise_and.Scalar: _by_tensor(aten.bitwise_and.Tensor),
    aten.bitwise_or.Scalar: _by_tensor(aten.bitwise_or.Tensor),
    aten.bitwise_xor.Scalar: _by_tensor(aten.bitwise_xor.Tensor),
    aten.__and__.Scalar: _by_tensor(aten.bitwise_and.Tensor),
    aten.__or__.Scalar: _by_tensor(aten.bitwise_or.Tensor),
    aten.__xor__.Scalar: _by_tensor(aten.bitwise_xor.Tensor),
    aten.__lshift__.Scalar: _shift_left,
    aten.bitwise_left_shift.Tensor_Scalar: _shift_left,
    aten.__rshift__.Scalar: _shift_right,
    aten.bitwise_right_shift.Tensor_Scalar: _shift_right,
    aten.bitwise_left_shift.Scalar_Tensor: _by_tensor(aten.__lshift__.Tensor),
    aten.bitwise_right_shift.Scalar_Tensor: _by_tensor(aten.__rshift__.Tensor),
}
