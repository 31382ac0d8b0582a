"""Nets of the usual kinds and sizes with random weights, to race runtimes on: they serve for speed alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim


def mlp() -> dict[str, Any]:
    """Three layers, 0.2 MB."""
    layers = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
    return _source(layers, torch.randn(2, 64))


def resnet18() -> dict[str, Any]:
    """ResNet-18 on 224 x 224."""
    return _source(_resnet((2, 2, 2, 2), _Basic), torch.randn(2, 3, 224, 224))


def resnet50() -> dict[str, Any]:
    """ResNet-50 on 224 x 224."""
    return _source(_resnet((3, 4, 6, 3), _Bottleneck), torch.randn(2, 3, 224, 224))


def mobilenet() -> dict[str, Any]:
    """Inverted residuals as in MobileNetV2, width 0.5, on 160 x 160."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6()]
    width = 16
    for grown, out, count, stride in ((1, 8, 1, 1), (6, 16, 2, 2), (6, 24, 3, 2), (6, 48, 3, 2), (6, 80, 3, 2)):
        for place in range(count):
            layers.append(_Inverted(width, out, stride if place == 0 else 1, grown))
            width = out
    return _source(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 100)),
                   torch.randn(2, 3, 160, 160))  # fmt: skip


def lstm() -> dict[str, Any]:
    """Two layers of 128 over 50 steps."""
    return _source(_Lstm(), torch.randn(2, 50, 40))


def bert() -> dict[str, Any]:
    """An encoder of four layers of 256 over 128 tokens."""
    return _source(_Encoder(), torch.randint(0, 5000, (2, 128)))


def vit() -> dict[str, Any]:
    """ViT-tiny's width on 112 x 112: six layers of 192 over 49 patches."""
    return _source(_Vit(), torch.randn(2, 3, 112, 112))


def unet() -> dict[str, Any]:
    """Three levels on 96 x 96."""
    return _source(_Unet(), torch.randn(2, 1, 96, 96))


def _resnet(counts: tuple[int, ...], block: type[nn.Module]) -> nn.Module:
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
    ]  # fmt: skip
    before = 64
    for level, count in enumerate(counts):
        for place in range(count):
            made = block(before, 64 << level, 2 if level and place == 0 else 1)
            layers.append(made)
            before = made.out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 1000))


def _conv(before: int, out: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(before, out, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out))


class _Basic(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.out = width
        self.inner = nn.Sequential(_conv(before, width, 3, stride), nn.ReLU(), _conv(width, width, 3))
        self.short = nn.Identity() if stride == 1 and before == width else _conv(before, width, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.inner(x) + self.short(x))


class _Bottleneck(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.out = 4 * width
        self.inner = nn.Sequential(
            _conv(before, width, 1), nn.ReLU(), _conv(width, width, 3, stride), nn.ReLU(), _conv(width, self.out, 1)
        )
        self.short = nn.Identity() if stride == 1 and before == self.out else _conv(before, self.out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.inner(x) + self.short(x))


class _Inverted(nn.Module):
    def __init__(self, before: int, out: int, stride: int, grown: int) -> None:
        super().__init__()
        width = before * grown
        self.inner = nn.Sequential(
            _conv(before, width, 1), nn.ReLU6(), _conv(width, width, 3, stride, width), nn.ReLU6(), _conv(width, out, 1)
        )
        self.same = stride == 1 and before == out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x) if self.same else self.inner(x)


class _Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(40, 128, num_layers=2, batch_first=True)
        self.head = nn.Linear(128, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


class _Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5000, 256)
        self.places = nn.Parameter(torch.randn(128, 256) / 16)
        layer = nn.TransformerEncoderLayer(256, 4, 1024, batch_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.head = nn.Linear(256, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.embedding(x) + self.places)[:, 0])


class _Vit(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 192, 16, 16)
        self.places = nn.Parameter(torch.randn(49, 192) / 14)
        layer = nn.TransformerEncoderLayer(192, 3, 768, batch_first=True, activation="gelu", norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
        self.head = nn.Linear(192, 100)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.patches(x).flatten(2).transpose(1, 2) + self.places).mean(1))


class _Unet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([self._double(1, 16), self._double(16, 32), self._double(32, 64)])
        self.grow = nn.ModuleList([nn.ConvTranspose2d(64, 32, 2, 2), nn.ConvTranspose2d(32, 16, 2, 2)])
        self.up = nn.ModuleList([self._double(64, 32), self._double(32, 16)])
        self.head = nn.Conv2d(16, 2, 1)

    @staticmethod
    def _double(before: int, out: int) -> nn.Sequential:
        return nn.Sequential(_conv(before, out, 3), nn.ReLU(), _conv(out, out, 3), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for place, down in enumerate(self.down):
            x = down(x)
            if place < 2:
                kept.append(x)
                x = nn.functional.max_pool2d(x, 2)
        for grow, up, beside in zip(self.grow, self.up, reversed(kept), strict=True):
            x = up(torch.cat([grow(x), beside], 1))
        return self.head(x)


def _source(model: nn.Module, example: Tensor) -> dict[str, Any]:
    return {"model": model.eval(), "args": (example,), "dynamic_shapes": ({0: Dim("batch", min=1, max=16)},)}
