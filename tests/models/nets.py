"""Small nets that the tests of this room open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Pair(NamedTuple):
    score: Tensor
    extra: dict[str, Tensor | None]


@dataclass
class Batch:
    a: Tensor
    b: Tensor


class Structured(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: dict[str, Tensor], *more: Tensor, mode: str = "sum") -> Pair:
        total = x["a"] + sum(more)
        return Pair(self.layer(total), {"total": total.sum(-1), "none": None})


class OfRecord(nn.Module):
    def forward(self, batch: Batch) -> Tensor:
        return batch.a * 2 + batch.b


class Mixes(nn.Module):
    """Rows depend on each other."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=0)


class Draws(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


class Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x + self.calls


class HardFloat(nn.Module):
    """Asks for float32 by name."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.to(torch.float32) / 255)


class Exits(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise SystemExit(3)


class Rebinds(nn.Module):
    """Puts another tensor in its buffer's place."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        self.mean = 0.9 * self.mean + x.mean(0)
        return x - self.mean


class Remembers(nn.Module):
    """Keeps a plain attribute from call to call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.calls


class LooksAtAll(nn.Module):
    """Decides for all rows at once, by their least."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.abs().max(-1).values.min() < 1e-3 else x
