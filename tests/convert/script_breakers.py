"""More models that TorchScript, or the way from it to an exported program, refuses; ``HERE`` marks the line."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own custom
from torch import Tensor, nn


class Skips(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            if bool(x.sum() > 0):
                continue  # HERE
            x = layer(x)
        return x


class TwoTypes(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        best, place = x.max(dim=0)
        for place in range(2):  # HERE
            best = best + place
        return best


class SetsData(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        self.weight.data = self.weight.data * 2  # HERE
        return F.linear(x, self.weight)


class Turns(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        total = x[:, 0]
        for t in range(x.shape[1]):  # HERE
            total = torch.tanh(total + x[:, t])
        return total


class Remembers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tables = {6: 2.0}

    def forward(self, x: Tensor) -> Tensor:
        return x * self.tables.get(x.shape[1], 1.0)  # HERE


class Checks(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        assert bool(torch.isfinite(x).all()), "finite values"
        if bool(x.mean() > 0):
            return x * 2
        return x - x.shape[0]
