"""What operators do to pairs of a real and an imaginary part: ``RULES``; and which ones make pairs: ``BORN``."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from torchship.lowering import fourier
from torchship.lowering.fourier import Pair
from torchship.lowering.refusal import UnloweredError

aten = torch.ops.aten
Rule = Callable[..., Any]


def pair(x: Any) -> Pair:
    """Take a real tensor, or a number, for a complex one without imaginary part."""
    if isinstance(x, Pair):
        return x
    if isinstance(x, complex):
        return Pair(torch.tensor(x.real), torch.tensor(x.imag))
    real = x if isinstance(x, Tensor) else torch.tensor(float(x))
    return Pair(real, torch.zeros_like(real))


def _each(target: Any) -> Rule:
    """A rule that does the same to both parts: of operators that move values, or are linear."""

    def rule(*args: Any, **kwargs: Any) -> Any:
        return _zipped(
            [
                target(
                    *(_part(each, place) for each in args),
                    **{name: _part(each, place) for name, each in kwargs.items()},
                )
                for place in range(2)
            ]
        )

    return rule


def _part(value: Any, place: int) -> Any:
    """One part of an argument; of a list of tensors, of which some are complex, all are."""
    if isinstance(value, Pair):
        return value[place]
    if isinstance(value, (tuple, list)) and any(isinstance(each, Pair) for each in value):
        return [pair(each)[place] for each in value]
    return value


def _zipped(answers: Sequence[Any]) -> Any:
    if isinstance(answers[0], Tensor):
        return Pair(*answers)
    return [Pair(*each) for each in zip(*answers, strict=True)]


def _add(x: Any, y: Any, *, alpha: Any = 1) -> Pair:
    x, y = pair(x), pair(y)
    return Pair(torch.add(x.re, y.re, alpha=alpha), torch.add(x.im, y.im, alpha=alpha))


def _sub(x: Any, y: Any, *, alpha: Any = 1) -> Pair:
    return _add(x, y, alpha=-alpha)


def _rsub(x: Any, y: Any, *, alpha: Any = 1) -> Pair:
    return _add(y, x, alpha=-alpha)


def _bilinear(product: Callable[[Any, Any], Tensor]) -> Rule:
    """A product of any kind: of numbers, of matrices."""

    def rule(x: Any, y: Any) -> Pair:
        if not isinstance(x, Pair):
            return Pair(product(x, y.re), product(x, y.im))
        if not isinstance(y, (Pair, complex)):
            return Pair(product(x.re, y), product(x.im, y))
        y = pair(y)
        return Pair(product(x.re, y.re) - product(x.im, y.im), product(x.re, y.im) + product(x.im, y.re))

    return rule


_mul = _bilinear(torch.mul)


def _div(x: Any, y: Any) -> Pair:
    if isinstance(y, (Pair, complex)):
        return _mul(x, _reciprocal(pair(y)))  # type: ignore[no-any-return]
    return Pair(x.re / y, x.im / y)


def _reciprocal(x: Pair) -> Pair:
    size = x.re.square() + x.im.square()
    return Pair(x.re / size, -x.im / size)


def _abs(x: Pair) -> Tensor:
    return (x.re.square() + x.im.square()).sqrt()


def _angle(x: Pair) -> Tensor:
    return torch.atan2(x.im, x.re)


def _conj(x: Pair) -> Pair:
    return Pair(x.re, -x.im)


def _exp(x: Pair) -> Pair:
    return _polar(x.re.exp(), x.im)


def _log(x: Pair) -> Pair:
    return Pair(_abs(x).log(), _angle(x))


def _polar(size: Tensor, angle: Tensor) -> Pair:
    return Pair(size * angle.cos(), size * angle.sin())


def _sgn(x: Pair) -> Pair:
    size = _abs(x)
    safe = torch.where(size == 0, 1.0, size)
    return Pair(x.re / safe, x.im / safe)


def _pow(x: Pair, exponent: Any) -> Pair:
    if not isinstance(exponent, (int, float)) or exponent != int(exponent) or abs(exponent) > 8:
        raise UnloweredError(
            f"a power of {exponent} of complex numbers has no plain arithmetic", "write it with abs() and angle()"
        )
    answer = pair(torch.ones_like(x.re))
    for _ in range(abs(int(exponent))):
        answer = _mul(answer, x)
    return answer if exponent >= 0 else _reciprocal(answer)


def _where(condition: Tensor, x: Any, y: Any) -> Pair:
    x, y = pair(x), pair(y)
    return Pair(torch.where(condition, x.re, y.re), torch.where(condition, x.im, y.im))


def _equal(x: Any, y: Any) -> Tensor:
    ours, theirs = pair(x), pair(y)
    return (ours.re == theirs.re) & (ours.im == theirs.im)


def _masked_fill(x: Pair, mask: Tensor, value: Any) -> Pair:
    return _where(mask, pair(value), x)


def _pad(x: Pair, pads: Sequence[Any], value: Any = 0) -> Pair:
    value = complex(value)
    return Pair(aten.constant_pad_nd(x.re, pads, value.real), aten.constant_pad_nd(x.im, pads, value.imag))


def _cast(x: Any, *_: Any, dtype: torch.dtype | None = None, **__: Any) -> Any:
    """To another element type: from a real one, from a complex one (its real part), or as it is."""
    to_complex = dtype is None or dtype.is_complex
    if isinstance(x, Pair):
        return x if to_complex else x.re.to(dtype)
    return pair(x.float()) if to_complex else x.to(dtype)


def _born_by_cast(x: Tensor, *args: Any, dtype: torch.dtype | None = None, **kwargs: Any) -> Any:
    return (
        pair(x.float())
        if dtype is not None and dtype.is_complex
        else aten._to_copy.default(x, *args, dtype=dtype, **kwargs)
    )


def _full(target: Any) -> Rule:
    def rule(*args: Any, dtype: torch.dtype | None = None, **kwargs: Any) -> Any:
        made = target(*args, dtype=torch.float32 if dtype is not None and dtype.is_complex else dtype, **kwargs)
        return pair(made) if dtype is not None and dtype.is_complex else made

    return rule


def _like(value: float) -> Rule:
    return lambda x, *_, **__: pair(torch.full_like(x.re, value))


def _from_real(x: Tensor) -> Pair:
    return Pair(x[..., 0], x[..., 1])


_EACH = (
    aten.view.default, aten.reshape.default, aten._unsafe_view.default, aten.permute.default, aten.transpose.int,
    aten.slice.Tensor, aten.select.int, aten.unsqueeze.default, aten.squeeze.dim, aten.squeeze.dims,
    aten.squeeze.default, aten.expand.default, aten.cat.default, aten.stack.default, aten.clone.default,
    aten.contiguous.default, aten.alias.default, aten.detach.default, aten.flip.default, aten.roll.default,
    aten.split.Tensor, aten.split_with_sizes.default, aten.unbind.int, aten.index.Tensor, aten.gather.default,
    aten.index_select.default, aten.neg.default, aten.sum.dim_IntList, aten.sum.default, aten.mean.dim,
    aten.mean.default, aten.cumsum.default, aten.repeat.default, aten.t.default, aten.unfold.default,
    aten.flatten.using_ints, aten.unflatten.int, aten.movedim.int, aten.movedim.intlist, aten.numpy_T.default,
    aten.mT.default, aten.diagonal.default, aten.tril.default, aten.triu.default, aten.as_strided.default,
    aten.slice_scatter.default, aten.select_scatter.default, aten.lift_fresh_copy.default, aten.index_put.default,
    aten.expand_as.default, aten.chunk.default, aten.narrow.default, aten.swapaxes.default, aten.scatter.src,
)  # fmt: skip
_SAME = (
    aten.resolve_conj.default, aten.resolve_neg.default, aten.contiguous.default, aten.positive.default,
)  # fmt: skip

RULES: dict[Any, Rule] = {
    **{each: _each(each) for each in _EACH},
    **dict.fromkeys(_SAME, lambda x, **_: x),
    operator.getitem: operator.getitem,
    aten.sym_size.int: lambda x, dim: x.re.shape[dim],
    aten.add.Tensor: _add, aten.add.Scalar: _add, aten.sub.Tensor: _sub, aten.sub.Scalar: _sub, aten.rsub.Scalar: _rsub,
    aten.mul.Tensor: _mul, aten.mul.Scalar: _mul, aten.mm.default: _bilinear(torch.mm),
    aten.bmm.default: _bilinear(torch.bmm), aten.matmul.default: _bilinear(torch.matmul),
    aten.div.Tensor: _div, aten.div.Scalar: _div, aten.reciprocal.default: _reciprocal,
    aten.abs.default: _abs, aten.angle.default: _angle, aten.exp.default: _exp, aten.log.default: _log,
    aten.sgn.default: _sgn, aten.pow.Tensor_Scalar: _pow, aten.square.default: lambda x: _mul(x, x),
    aten.conj.default: _conj, aten._conj.default: _conj, aten._conj_physical.default: _conj,
    aten.conj_physical.default: _conj, aten._neg_view.default: _each(torch.neg),
    aten.real.default: lambda x: x.re, aten.imag.default: lambda x: x.im,
    aten.view_as_real.default: lambda x: torch.stack([x.re, x.im], -1),
    aten.where.self: _where, aten.where.ScalarOther: _where, aten.where.ScalarSelf: _where,
    aten.masked_fill.Scalar: _masked_fill, aten.masked_fill.Tensor: _masked_fill,
    aten.eq.Tensor: _equal, aten.eq.Scalar: _equal, aten.ne.Tensor: lambda x, y: ~_equal(x, y),
    aten.constant_pad_nd.default: _pad, aten._to_copy.default: _cast,
    aten.to.dtype: lambda x, dtype, *_: _cast(x, dtype=dtype),
    aten.zeros_like.default: _like(0.0), aten.ones_like.default: _like(1.0),
    aten._fft_c2c.default: fourier.transform, aten._fft_c2r.default: fourier.transform_to_real,
}  # fmt: skip
BORN: dict[Any, Rule] = {
    aten.complex.default: Pair,
    aten.polar.default: _polar,
    aten.view_as_complex.default: _from_real,
    aten._fft_r2c.default: fourier.transform_real,
    aten._to_copy.default: _born_by_cast,
    aten.zeros.default: _full(aten.zeros.default),
    aten.ones.default: _full(aten.ones.default),
    aten.full.default: _full(aten.full.default),
}
