"""Breakers: views and sizes that must stay open."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from entry import entry
from torch import nn
from torch.export import Dim

BATCH = Dim("batch", min=1, max=8)


class _Relative(nn.Module):
    """T5's relative positions: buckets made from the length, an embedding looked up and turned."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(8, 4)
        self.qkv = nn.Linear(16, 48)

    def bucket(self, place):
        side = (place > 0).to(torch.long) * 4
        place = torch.abs(place)
        far = 2 + (torch.log(place.float().clamp(min=1) / 2) / math.log(8) * 2).to(torch.long)
        return side + torch.where(place < 2, place, torch.min(far, torch.full_like(far, 3)))

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        q, k, v = (each.view(b, -1, 4, 4).transpose(1, 2) for each in (q, k, v))
        place = torch.arange(t)[None, :] - torch.arange(t)[:, None]
        bias = self.table(self.bucket(place)).permute(2, 0, 1).unsqueeze(0)
        return ((q @ k.transpose(2, 3) + bias).softmax(-1) @ v).transpose(1, 2).contiguous().view(b, -1, c)


@entry
def relative_positions() -> dict[str, Any]:
    return {
        "model": _Relative().eval(), "args": (torch.randn(2, 9, 16),),
        "dynamic_shapes": {"x": {0: BATCH, 1: Dim("length", min=1, max=40)}},
    }  # fmt: skip


class _Windowed(nn.Module):
    """Swin's windows, on pictures of any size: padded to whole windows, cut, attended, put back."""

    def __init__(self, window: int = 4) -> None:
        super().__init__()
        self.window = window
        self.layer = nn.Linear(6, 6)

    def forward(self, x):
        B, H, W, C = x.shape
        w = self.window
        x = F.pad(x, (0, 0, 0, (w - W % w) % w, 0, (w - H % w) % w))
        _, Hp, Wp, _ = x.shape
        windows = x.view(B, Hp // w, w, Wp // w, w, C).permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, w * w, C)
        windows = torch.softmax(windows @ windows.transpose(1, 2), -1) @ self.layer(windows)
        B_ = int(windows.shape[0] / (Hp * Wp / w / w))
        x = windows.view(B_, Hp // w, Wp // w, w, w, -1).permute(0, 1, 3, 2, 4, 5).contiguous().view(B_, Hp, Wp, -1)
        return x[:, :H, :W, :].contiguous()


@entry
def window_partition() -> dict[str, Any]:
    return {
        "model": _Windowed().eval(), "args": (torch.randn(2, 10, 13, 6),),
        "dynamic_shapes": {"x": {0: BATCH, 1: Dim("height", min=4, max=24), 2: Dim("width", min=4, max=24)}},
    }  # fmt: skip


class _Cross(nn.Module):
    """Attention of one sequence to another, each with a length of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, query, memory):
        found, weights = self.attention(query, memory, memory)
        return torch.cat([found, query], dim=1), weights


@entry
def cross_attention() -> dict[str, Any]:
    return {
        "model": _Cross().eval(), "args": (torch.randn(2, 5, 16), torch.randn(2, 8, 16)),
        "dynamic_shapes": {
            "query": {0: BATCH, 1: Dim("queries", min=1, max=20)},
            "memory": {0: BATCH, 1: Dim("memories", min=1, max=20)},
        },
    }  # fmt: skip


class _Places(nn.Module):
    """A table of places, stretched to the picture's size, as ViTs do it."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.places = nn.Parameter(torch.randn(1, 8, 6, 6))

    def forward(self, x):
        cells = self.patches(x)
        places = F.interpolate(self.places, size=cells.shape[-2:], mode="bicubic", align_corners=False)
        return (cells + places).flatten(2).transpose(1, 2)


@entry
def stretched_places() -> dict[str, Any]:
    return {
        "model": _Places().eval(), "args": (torch.randn(2, 3, 32, 20),),
        "dynamic_shapes": {"x": {0: BATCH, 2: Dim("height", min=8, max=64), 3: Dim("width", min=8, max=64)}},
    }  # fmt: skip


class _Even(nn.Module):
    """Needs an even length: ``half`` pairs are folded into one."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 4)

    def forward(self, x):
        return self.layer(x.view(x.shape[0], -1, 6))


@entry
def relation_even() -> dict[str, Any]:
    """A relation between sizes: the length is twice a dim."""
    half = Dim("half", min=1, max=12)
    return {
        "model": _Even().eval(), "args": (torch.randn(2, 8, 3),), "dynamic_shapes": {"x": {0: BATCH, 1: 2 * half}},
        "fresh": lambda number: (torch.randn(1 + number % 8, 2 * (1 + number % 12), 3),),
    }  # fmt: skip


class _OneLonger(nn.Module):
    def forward(self, x, y):
        return x + y[:, 1:], (y[:, 1:] - y[:, :-1]) * x


@entry
def relation_longer() -> dict[str, Any]:
    """A relation between inputs: one is longer than the other by one."""
    length = Dim("length", min=1, max=20)

    def example(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        size = 1 + number % 20
        return torch.randn(3, size), torch.randn(3, size + 1)

    return {
        "model": _OneLonger().eval(), "args": (torch.randn(3, 7), torch.randn(3, 8)), "fresh": example,
        "dynamic_shapes": {"x": {1: length}, "y": {1: length + 1}},
    }  # fmt: skip


class _Flat(nn.Module):
    """LeNet with ``view(-1, 400)``: right for any batch, and nothing declared."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2 = nn.Linear(256, 20), nn.Linear(20, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), (2, 2))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.view(-1, self.num_flat_features(x))
        return self.fc2(F.relu(self.fc1(x)))

    def num_flat_features(self, x):
        size = x.size()[1:]
        num_features = 1
        for s in size:
            num_features *= s
        return num_features


@entry
def lenet() -> dict[str, Any]:
    return {"model": _Flat().eval(), "args": (torch.randn(1, 1, 28, 28),)}


class _Mean(nn.Module):
    """Nothing declared, and no batch: every row's answer depends on the others."""

    def forward(self, x):
        return x - x.mean(0, keepdim=True)


@entry
def batch_mean() -> dict[str, Any]:
    return {"model": _Mean().eval(), "args": (torch.randn(5, 4),)}


class _Repeat(nn.Module):
    def forward(self, x):
        b, t = x.shape
        grid = x.unsqueeze(2).expand(b, t, t).reshape(b, t * t)
        return (
            grid.view(b, t, t).tril().flatten(1),
            x.repeat(1, 2),
            x.repeat_interleave(3, dim=1),
            x.new_full((t, b), 2.0),
        )


@entry
def symbolic_views() -> dict[str, Any]:
    return {
        "model": _Repeat().eval(), "args": (torch.randn(2, 5),),
        "dynamic_shapes": {"x": {0: BATCH, 1: Dim("length", min=1, max=20)}},
    }  # fmt: skip
