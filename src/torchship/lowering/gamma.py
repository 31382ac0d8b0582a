"""The gamma function's logarithm and its derivative: Lanczos's and Stirling's series, to float32's precision."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from torchship.lowering.program import Table

# Lanczos's approximation with g = 7 and nine terms, as Godfrey (2001) gives it
_G = 7.0
_LANCZOS = (
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
)  # fmt: skip
_SHIFT = 6  # Stirling's series for digamma is exact enough from here on
aten = torch.ops.aten


def _lgamma(x: Tensor) -> Tensor:
    """Below a half by reflection; infinite at 0 and the whole numbers below it."""
    low = x < 0.5
    z = torch.where(low, 1 - x, x) - 1
    series = torch.full_like(z, _LANCZOS[0])
    for step, factor in enumerate(_LANCZOS[1:], 1):
        series = series + factor / (z + step)
    t = z + _G + 0.5
    right = (z + 0.5) * (t.log() - 1) - _G + series.log() + 0.5 * math.log(2 * math.pi)
    turned = (math.pi * (x - x.floor())).sin().abs()
    answer = torch.where(low, math.log(math.pi) - turned.log() - right, right)
    return torch.where(x.isinf(), math.inf, answer)


def _digamma(x: Tensor) -> Tensor:
    """Below zero by reflection, and shifted to where the series holds."""
    low = x < 0
    z = torch.where(low, 1 - x, x)
    shift = torch.zeros_like(z)
    for step in range(_SHIFT):
        shift = shift + 1 / (z + step)
    far = z + _SHIFT
    square = 1 / (far * far)
    tail = square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square / 240)))
    right = far.log() - 0.5 / far - tail - shift
    part = x - x.floor()
    at_pole = part == 0
    turned = math.pi / torch.where(at_pole, math.nan, (math.pi * part).tan())
    return torch.where(low, right - turned, right)


GAMMA: Table = {aten.lgamma.default: _lgamma, aten.digamma.default: _digamma}
