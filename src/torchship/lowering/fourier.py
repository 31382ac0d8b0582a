"""The discrete Fourier transform in real arithmetic: products with the transform's own matrix.

A long one is taken apart by its length's factors (Cooley and Tukey, 1965), so that no matrix is wide and no sum long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchship.lowering.refusal import UnloweredError

_WIDEST = 128  # a transform up to this length is one product
_LONGEST = 4096  # the longest that is one product, where the length has no factors or is open


class Pair(NamedTuple):
    """A complex tensor as two real ones of one shape."""

    re: Tensor
    im: Tensor


def transform(x: Pair, dims: Sequence[int], normalization: int, forward: bool) -> Pair:
    """``aten::_fft_c2c``."""
    factor = _factor([x.re.shape[dim] for dim in dims], normalization)
    for dim in dims:
        x = _along(x, dim, forward)
    return Pair(x.re * factor, x.im * factor)


def transform_real(x: Tensor, dims: Sequence[int], normalization: int, onesided: bool) -> Pair:
    """``aten::_fft_r2c``: of the last of ``dims`` only the first half is kept."""
    y = transform(Pair(x, torch.zeros_like(x)), dims, normalization, forward=True)
    last, length = dims[-1], x.shape[dims[-1]]
    return Pair(*(part.narrow(last, 0, length // 2 + 1) for part in y)) if onesided else y


def transform_to_real(x: Pair, dims: Sequence[int], normalization: int, length: Any) -> Tensor:
    """``aten::_fft_c2r``: backward, from the half that the last of ``dims`` holds to ``length`` real values."""
    *others, last = dims
    factor = _factor([*(x.re.shape[dim] for dim in others), length], normalization)
    for dim in others:
        x = _along(x, dim, forward=False)
    middle = length - length // 2 - 1  # how many of the half come again, mirrored
    half = [part.movedim(last, -1) for part in x]
    mirrored = [part[..., 1 : middle + 1].flip(-1) for part in half]
    ends = half[1] * _inner(half[1], length)  # the first and the middle value are taken as real
    whole = Pair(torch.cat([half[0], mirrored[0]], -1), torch.cat([ends, -mirrored[1]], -1))
    answer: Tensor = _last(whole, forward=False).re * factor
    return answer.movedim(-1, last)


def _inner(half: Tensor, length: Any) -> Tensor:
    places = torch.arange(half.shape[-1])
    inner: Tensor = (places > 0) & (places * 2 != length)
    return inner.to(half.dtype)


def _along(x: Pair, dim: int, forward: bool) -> Pair:
    y = _last(Pair(x.re.movedim(dim, -1), x.im.movedim(dim, -1)), forward)
    return Pair(y.re.movedim(-1, dim), y.im.movedim(-1, dim))


def _last(x: Pair, forward: bool) -> Pair:
    length = x.re.shape[-1]
    split = _factor_of(length) if isinstance(length, int) and length > _WIDEST else 1
    if split == 1:
        return _product(x, length, forward)
    rows = length // split
    y = Pair(*(part.reshape(*part.shape[:-1], split, rows).transpose(-1, -2) for part in x))
    y = _times(_last(y, forward), _turns(torch.outer(torch.arange(rows), torch.arange(split)), length, forward, x.re))
    y = _last(Pair(y.re.transpose(-1, -2), y.im.transpose(-1, -2)), forward)
    return Pair(*(part.transpose(-1, -2).flatten(-2) for part in y))


def _product(x: Pair, length: Any, forward: bool) -> Pair:
    if isinstance(length, int) and length > _LONGEST:
        raise UnloweredError(
            f"a Fourier transform of length {length}, which has no small factors, would take a matrix of {length}²",
            "pad to a length with small factors, such as a power of two: torch.fft.rfft(x, n=…)",
        )
    places = torch.arange(length)
    turns = _turns(torch.outer(places, places), length, forward, x.re)
    return Pair(x.re @ turns.re - x.im @ turns.im, x.re @ turns.im + x.im @ turns.re)


def _turns(steps: Tensor, length: Any, forward: bool, like: Tensor) -> Pair:
    """Points of the unit circle, ``steps`` of ``length`` to the whole; exact before the angle is taken."""
    angles = (steps % length).to(torch.float64) * (2 * math.pi / length)
    sine = -angles.sin() if forward else angles.sin()
    return Pair(angles.cos().to(like.dtype), sine.to(like.dtype))


def _times(x: Pair, y: Pair) -> Pair:
    return Pair(x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re)


def _factor_of(length: int) -> int:
    """The factor nearest to the root, from below; 1 of a prime."""
    return next(each for each in range(math.isqrt(length), 0, -1) if length % each == 0)


def _factor(lengths: Sequence[Any], normalization: int) -> Any:
    total = math.prod(lengths)
    return (1.0, total**-0.5, 1.0 / total)[normalization]
