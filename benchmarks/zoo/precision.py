"""Breakers: weights that aren't float32."""

from __future__ import annotations

from typing import Any

import torch
from entry import coarse, entry
from torch import nn
from torch.export import Dim

ROWS = Dim("rows", min=1, max=16)


def _convolutions(dtype: torch.dtype) -> dict[str, Any]:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(32, 5),
    ).to(dtype)  # fmt: skip
    return {
        "model": model.eval(), "args": (torch.randn(2, 3, 12, 12, dtype=dtype),), "dynamic_shapes": {"input": {0: ROWS}}
    }  # fmt: skip


@entry
def bfloat16_convolutions() -> dict[str, Any]:
    return _convolutions(torch.bfloat16)


@entry
def float16_convolutions() -> dict[str, Any]:
    return _convolutions(torch.float16)


@entry
def float64_convolutions() -> dict[str, Any]:
    return _convolutions(torch.float64)


class _Mixed(nn.Module):
    """Weights in bfloat16, numbers in and out in float32: how large nets are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 16).bfloat16(), nn.Linear(16, 4).bfloat16()
        self.norm = nn.LayerNorm(16)

    def forward(self, x):
        hidden = self.norm(self.first(x.bfloat16()).float())
        return self.second(hidden.to(self.second.weight.dtype)).float()


@entry
def bfloat16_inside() -> dict[str, Any]:
    return {"model": _Mixed().eval(), "args": (torch.randn(3, 8),), "dynamic_shapes": {"x": {0: ROWS}}}


class _Autocast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = torch.relu(self.first(x))
            scores = self.second(hidden)
        return scores.float().softmax(-1)


@coarse
@entry
def autocast() -> dict[str, Any]:
    return {"model": _Autocast().eval(), "args": (torch.randn(3, 8),), "dynamic_shapes": {"x": {0: ROWS}}}


class _Double(nn.Module):
    """A sum that float32 can't hold: float64 in the middle."""

    def forward(self, x):
        wide = x.double() * 1e6
        return (wide.cumsum(1) - wide.mean()).float(), wide.var(dim=1, unbiased=False)


@entry
def float64_inside() -> dict[str, Any]:
    return {"model": _Double().eval(), "args": (torch.randn(3, 8),), "dynamic_shapes": {"x": {0: ROWS}}}


@coarse
@entry
def dynamic_int8() -> dict[str, Any]:
    """Quantised by torch's own dynamic quantisation, before it came here."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.ao.quantization.quantize_dynamic(
            nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)).eval(), {nn.Linear}, dtype=torch.qint8
        )
    return {"model": model.eval(), "args": (torch.randn(3, 8),), "dynamic_shapes": {"input": {0: ROWS}}}


class _Bytes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, raw):
        scaled = raw.to(torch.float32).div_(127.5).sub_(1)
        return self.layer(scaled), (raw + 100), raw // 3, raw.to(torch.int8)


@entry
def byte_input() -> dict[str, Any]:
    """uint8 arithmetic wraps around."""
    return {
        "model": _Bytes().eval(), "args": (torch.randint(0, 256, (3, 8), dtype=torch.uint8),),
        "dynamic_shapes": {"raw": {0: ROWS}},
    }  # fmt: skip
