"""Models of which a converter makes something else without a word; the module to blame is ``layers.1.odd``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Plain(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.sum() > 0 else x - 1


class Scattered(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        index = torch.zeros(3, 4, dtype=torch.long)
        return x + torch.zeros(3, 4).scatter_reduce(0, index, x, "mean", include_self=False)


class Normed(nn.Module):
    """A norm left in training mode, so that it takes the batch's own mean."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x)


class Scripted(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 3 if torch.jit.is_scripting() else x * 2


def turned() -> nn.Linear:
    """A layer that keeps the sign of every value."""
    layer = nn.Linear(4, 4, bias=False)
    layer.weight.data = torch.eye(4) * 1.25 + 0.125
    return layer


class Block(nn.Module):
    def __init__(self, odd: nn.Module) -> None:
        super().__init__()
        self.before = turned()
        self.odd = odd
        self.after = turned()

    def forward(self, x: Tensor) -> Tensor:
        return self.after(torch.tanh(self.odd(self.before(x))))


class Deep(nn.Module):
    def __init__(self, odd: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Block(Plain()), Block(odd), Block(Plain())])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class AtTheTop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before = turned()

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(x)
        return x * 2 if x.sum() > 0 else x - 1


def source(model: nn.Module) -> dict[str, Any]:
    return {"model": model.eval(), "args": (torch.ones(3, 4),)}


def branching() -> dict[str, Any]:
    return source(Deep(Branching()))


def scattered() -> dict[str, Any]:
    return source(Deep(Scattered()))


def normed() -> dict[str, Any]:
    return source(Deep(Normed()))


def scripted() -> dict[str, Any]:
    return source(Deep(Scripted()))


def at_the_top() -> dict[str, Any]:
    return source(AtTheTop())
