"""Nets of torch.nn alone with random weights, as sources that ``torchship ship`` and the raw tools take alike."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim


def cnn() -> dict[str, Any]:
    """Three convolutions, 0.1 MB."""
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(1024, 10),
    )  # fmt: skip
    return _source(model, torch.randn(2, 3, 32, 32))


def encoder() -> dict[str, Any]:
    """A transformer of two layers over token ids, 0.7 MB."""
    return _source(Encoder(tokens=1000, length=32, width=64, layers=2), torch.randint(0, 1000, (2, 32)))


def resnet() -> dict[str, Any]:
    """The layers of ResNet-18, 45 MB, on small pictures."""
    widths = (64, 64, 128, 128, 256, 256, 512, 512)
    blocks = [Block(before, width) for before, width in zip((64, *widths), widths, strict=False)]
    model = nn.Sequential(
        nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10),
    )  # fmt: skip
    return _source(model, torch.randn(2, 3, 64, 64))


def big() -> dict[str, Any]:
    """Ten layers of 151 MB, 1.51 GB in all; answers stay of the size of the inputs."""
    width = 6144
    layers = [nn.utils.skip_init(nn.Linear, width, width) for _ in range(10)]
    for layer in layers:
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
    return _source(nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU()))), torch.randn(2, width))


class Encoder(nn.Module):
    """Embeds token ids [batch, length], adds learned places, and classifies by the mean."""

    def __init__(self, tokens: int, length: int, width: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        self.places = nn.Parameter(torch.randn(length, width) / math.sqrt(width))
        layer = nn.TransformerEncoderLayer(width, nhead=4, dim_feedforward=4 * width, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Give scores [batch, 5]."""
        return self.head(self.encoder(self.embedding(x) + self.places).mean(1))


class Block(nn.Module):
    """ResNet's basic block; it halves the picture where it widens."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        stride = 1 if before == width else 2
        self.first = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)
        self.short = nn.Identity() if stride == 1 else nn.Conv2d(before, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Give [batch, width, …]."""
        inner = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(self.second_norm(self.second(inner)) + self.short(x))


def _source(model: nn.Module, example: Tensor) -> dict[str, Any]:
    return {"model": model.eval(), "args": (example,), "dynamic_shapes": ({0: Dim("batch", min=1, max=16)},)}
