"""Inputs that nobody chose: examples from a spec, and fresh ones from an example's own range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from torchship.models.source import InputSpec

Style = Literal["usual", "zero", "low", "high", "large"]

_MOSTLY = 0.8
_NEAR = 0.2  # of the range: so far from its end is near
_TURNED = 0.15  # share of a mask's values that a fresh one has turned
_UNKNOWN_INTEGERS = 8  # values of an integer input that nobody gave an example of: 0..7 fits nearly every table


def example(spec: InputSpec, size_of: dict[str, int], generator: torch.Generator) -> Tensor:
    """Make an example for ``--input``; ``size_of`` gives the dims' sizes."""
    shape = [size if isinstance(size, int) else size_of[size] for size in spec.shape]
    dtype = getattr(torch, spec.dtype)
    if dtype is torch.bool:
        return torch.randint(0, 2, shape, generator=generator).bool()
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(shape, generator=generator, dtype=torch.complex64 if dtype.is_complex else torch.float32).to(
            dtype
        )
    high = 256 if dtype is torch.uint8 else _UNKNOWN_INTEGERS
    return torch.randint(0, high, shape, generator=generator).to(dtype)


def fresh(like: Tensor, shape: tuple[int, ...], style: Style, generator: torch.Generator) -> Tensor:
    """Draw a tensor of ``shape`` like ``like``: integers within its least and greatest, floats of its spread."""
    if like.dtype is torch.bool:
        return _booleans(like, shape, style, generator)
    if like.is_complex():
        real = fresh(like.real, shape, style, generator)
        return torch.complex(real, fresh(like.imag, shape, style, generator)).to(like.dtype)
    if like.is_floating_point():
        return _floats(like, shape, style, generator)
    return _integers(like, shape, style, generator)


def _booleans(like: Tensor, shape: tuple[int, ...], style: Style, generator: torch.Generator) -> Tensor:
    """A mask means something: it keeps its example's pattern, stretched, with a few values turned where that is fresh.

    A last axis that was mixed stays mixed: a row that is masked as a whole has no defined answer in attention.
    """
    drawn = stretched(like, shape)
    if style != "usual":
        return drawn
    turned = drawn ^ (torch.rand(shape, generator=generator) < _TURNED)
    if not shape:
        return turned
    mixed = drawn.any(-1, keepdim=True) & ~drawn.all(-1, keepdim=True)
    still = turned.any(-1, keepdim=True) & ~turned.all(-1, keepdim=True)
    return torch.where(mixed & ~still, drawn, torch.where(mixed, turned, drawn))


def stretched(like: Tensor, shape: tuple[int, ...]) -> Tensor:
    """``like`` at another size, by the nearest element."""
    for axis, size in enumerate(shape):
        if like.shape[axis] != size:
            place = torch.arange(size) * max(like.shape[axis], 1) // max(size, 1)
            like = like.index_select(axis, place) if like.shape[axis] else like.new_zeros(shape)
    return like.clone()


def structured(like: Tensor, drawn: Tensor, sizes: Mapping[int, int]) -> Tensor:
    """Give ``drawn`` the structure of whole numbers that ``like`` has, for models that take no others.

    Offsets, positions and boundaries are sorted from a first value on; the greatest one that is a size of the call
    (the last offset, the longest length) is its new size. ``sizes``: the example's dynamic sizes, and the new ones.
    """
    if like.is_floating_point() or like.is_complex() or like.dtype is torch.bool or not like.numel() or not like.dim():
        return drawn
    end = sizes.get(int(like.max()))
    ordered = like.shape[-1] > 1 and bool((like.diff(dim=-1) >= 0).all()) and bool((like != like[..., :1]).any())
    if ordered and drawn.shape[-1]:
        drawn = drawn.sort(-1).values
        drawn[..., 0] = like.min()
        if end is not None and bool((like[..., -1] == like.max()).all()):
            drawn[..., -1] = end
    return drawn if end is None else drawn.clamp(max=end)


def _integers(like: Tensor, shape: tuple[int, ...], style: Style, generator: torch.Generator) -> Tensor:
    low, high = (int(like.min()), int(like.max())) if like.numel() else (0, _UNKNOWN_INTEGERS - 1)
    if style in ("zero", "low"):
        return torch.full(shape, low, dtype=like.dtype)
    if style in ("high", "large"):
        return torch.full(shape, high, dtype=like.dtype)
    return torch.randint(low, high + 1, shape, generator=generator).to(like.dtype)


def _floats(like: Tensor, shape: tuple[int, ...], style: Style, generator: torch.Generator) -> Tensor:
    known = like.detach().to(torch.float64)
    known = known[torch.isfinite(known)]
    if style == "zero":
        return torch.zeros(shape, dtype=like.dtype)
    if style in ("low", "high") and known.numel():  # most near one end of the range, the rest near the other
        near, far = (known.min(), known.max()) if style == "low" else (known.max(), known.min())
        side = torch.where(torch.rand(shape, generator=generator) < _MOSTLY, 0.0, 1.0).double()
        inwards = _NEAR * torch.rand(shape, generator=generator, dtype=torch.float64) ** 3  # equal ones would be ties
        return (near + (far - near) * (side - inwards).abs()).to(like.dtype)
    mean = float(known.mean()) if known.numel() else 0.0
    spread = float(known.std()) if known.numel() > 1 else 1.0
    if known.numel() and float(known.min()) >= 0:  # a probability, a distance, a pixel: never below its range
        top = max(float(known.max()), 1e-6)
        drawn = torch.rand(shape, generator=generator, dtype=torch.float64) * top
    else:
        drawn = torch.randn(shape, generator=generator, dtype=torch.float64) * (spread or 1.0) + mean
    return (drawn * (10 if style == "large" else 1)).to(like.dtype)
