"""Distances between all rows of one matrix and all of another."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchship.lowering.arithmetic import vector_norm
from torchship.lowering.program import Table

_FEW = 16  # features up to which each pair's difference is written out; torch itself multiplies matrices of more
aten = torch.ops.aten


def cdist(x: Tensor, y: Tensor, p: float = 2.0, compute_mode: int | None = None) -> Tensor:  # noqa: ARG001
    """Euclid's by a product of matrices where there are many features, as torch does it."""
    features = x.shape[-1]
    if p == 2 and not (isinstance(features, int) and features <= _FEW):
        squares = (x * x).sum(-1, keepdim=True) + (y * y).sum(-1, keepdim=True).mT
        return (squares - 2 * (x @ y.mT)).clamp(min=0).sqrt()
    return vector_norm(x.unsqueeze(-2) - y.unsqueeze(-3), p, -1)


def _forward(x: Tensor, y: Tensor, p: float, compute_mode: int | None) -> Any:
    return cdist(x, y, p, compute_mode)


DISTANCES: Table = {aten.cdist.default: cdist, aten._cdist_forward.default: _forward}
