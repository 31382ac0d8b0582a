"""Inputs that nobody chose: examples from a spec, and fresh ones from an example's own range."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from torchship.models.source import InputSpec

Style = Literal["usual", "zero", "low", "high", "large"]

_MOSTLY = 0.8
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
    drawn = _stretched(like, shape)
    if style != "usual":
        return drawn
    turned = drawn ^ (torch.rand(shape, generator=generator) < _TURNED)
    if not shape:
        return turned
    mixed = drawn.any(-1, keepdim=True) & ~drawn.all(-1, keepdim=True)
    still = turned.any(-1, keepdim=True) & ~turned.all(-1, keepdim=True)
    return torch.where(mixed & ~still, drawn, torch.where(mixed, turned, drawn))


def _stretched(like: Tensor, shape: tuple[int, ...]) -> Tensor:
    """``like`` at another size, by the nearest element."""
    for axis, size in enumerate(shape):
        if like.shape[axis] != size:
            place = torch.arange(size) * max(like.shape[axis], 1) // max(size, 1)
            like = like.index_select(axis, place) if like.shape[axis] else like.new_zeros(shape)
    return like.clone()


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
    if style in ("low", "high") and known.numel():  # most at one end of the range, the rest at the other
        ends = (known.min(), known.max()) if style == "low" else (known.max(), known.min())
        return torch.where(torch.rand(shape, generator=generator) < _MOSTLY, *ends).to(like.dtype)
    mean = float(known.mean()) if known.numel() else 0.0
    spread = float(known.std()) if known.numel() > 1 else 1.0
    if known.numel() and float(known.min()) >= 0:  # a probability, a distance, a pixel: never below its range
        top = max(float(known.max()), 1e-6)
        drawn = torch.rand(shape, generator=generator, dtype=torch.float64) * top
    else:
        drawn = torch.randn(shape, generator=generator, dtype=torch.float64) * (spread or 1.0) + mean
    return (drawn * (10 if style == "large" else 1)).to(like.dtype)
