"""Breakers: Python that looks at values and sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from entry import entry, generator
from torch import nn
from torch.export import Dim

ROWS = Dim("rows", min=1, max=24)


class _Branch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        if x.mean() > 0:
            return self.up(x)
        return self.down(x) - 1


@entry
def value_branch() -> dict[str, Any]:
    def either(number: int) -> tuple[torch.Tensor]:
        return (torch.randn(1 + number % 5, 4, generator=generator(number)) + (3 if number % 2 else -3),)

    return {
        "model": _Branch().eval(), "args": (torch.randn(2, 4) + 3,), "dynamic_shapes": {"x": {0: ROWS}}, "fresh": either
    }  # fmt: skip


class _Loop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        total = torch.zeros(x.shape[0], 3)
        for t in range(x.shape[1]):
            total = torch.tanh(self.layer(x[:, t] + total))
        return total


@entry
def length_loop() -> dict[str, Any]:
    return {
        "model": _Loop().eval(), "args": (torch.randn(2, 5, 3),),
        "dynamic_shapes": {"x": {0: ROWS, 1: Dim("length", min=1, max=20)}},
    }  # fmt: skip


class _Untyped(nn.Module):
    """Halves until small: as many steps as the values need."""

    def forward(self, x):
        steps = 0
        while x.abs().max() > 1:
            x = x / 2
            steps += 1
        return x, torch.tensor(steps)


@entry
def value_loop() -> dict[str, Any]:
    return {"model": _Untyped().eval(), "args": (torch.randn(2, 4) * 9,), "dynamic_shapes": {"x": {0: ROWS}}}


class _Item(nn.Module):
    def forward(self, x, k):
        return x[:, : k.item()].sum(1)


@entry
def item_slice() -> dict[str, Any]:
    return {
        "model": _Item().eval(), "args": (torch.randn(3, 9), torch.tensor(4)), "dynamic_shapes": {"x": {0: ROWS}},
        "fresh": lambda number: (
            torch.randn(1 + number % 6, 9, generator=generator(number)), torch.tensor(1 + number % 9)
        ),
    }  # fmt: skip


class _Scale(nn.Module):
    def forward(self, x):
        return x / float(x.abs().max())


@entry
def item_scale() -> dict[str, Any]:
    return {"model": _Scale().eval(), "args": (torch.randn(3, 4),), "dynamic_shapes": {"x": {0: ROWS}}}


class _Chatty(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        print("shape", x.shape, "mean", x.mean())
        y = self.layer(x)
        print(f"out: {y.shape}")
        return y


@entry
def printing() -> dict[str, Any]:
    return {"model": _Chatty().eval(), "args": (torch.randn(3, 4),), "dynamic_shapes": {"x": {0: ROWS}}}


class _ShapeBranch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, x):
        if x.shape[0] > 8:
            return self.large(x)
        return self.small(x)


@entry
def shape_branch() -> dict[str, Any]:
    return {"model": _ShapeBranch().eval(), "args": (torch.randn(3, 4),), "dynamic_shapes": {"x": {0: ROWS}}}


class _Baked(nn.Module):
    def forward(self, x):
        half = int(x.shape[1] / 2)
        size = int(x.size(0))
        return torch.cat([x[:, half:], x[:, :half]], 1).reshape(size, -1) * size


@entry
def int_sizes() -> dict[str, Any]:
    return {
        "model": _Baked().eval(), "args": (torch.randn(3, 8),),
        "dynamic_shapes": {"x": {0: ROWS, 1: Dim("columns", min=2, max=30)}},
    }  # fmt: skip


class _ListSizes(nn.Module):
    def forward(self, x):
        sizes = list(x.shape)
        sizes[-1] = 1
        padding = [0] * x.dim()
        padding[0] = len(sizes)
        return nn.functional.pad(x.sum(-1, keepdim=True).view(sizes), padding[:2]) + torch.ones(sizes)


@entry
def list_sizes() -> dict[str, Any]:
    return {
        "model": _ListSizes().eval(), "args": (torch.randn(3, 8),),
        "dynamic_shapes": {"x": {0: ROWS, 1: Dim("columns", min=2, max=30)}},
    }  # fmt: skip


class _Numpy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        window = np.hanning(x.shape[1])
        y = self.layer(x * torch.from_numpy(window).float())
        return torch.from_numpy(np.sort(y.detach().numpy(), axis=1))


@entry
def numpy_forward() -> dict[str, Any]:
    return {"model": _Numpy().eval(), "args": (torch.randn(3, 4),), "dynamic_shapes": {"x": {0: ROWS}}}


class _NumpyConstant(nn.Module):
    """numpy for constants alone, which is common and harmless."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = np.float32(1.5)
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        table = torch.from_numpy(np.linspace(0, 1, 4, dtype=np.float32))
        return self.layer(x * self.scale) * np.sqrt(2.0) + table


@entry
def numpy_constant() -> dict[str, Any]:
    return {"model": _NumpyConstant().eval(), "args": (torch.randn(3, 4),), "dynamic_shapes": {"x": {0: ROWS}}}


class _Nonzero(nn.Module):
    def forward(self, x):
        return x[x > 0], torch.nonzero(x > 0)


@entry
def nonzero_output() -> dict[str, Any]:
    return {"model": _Nonzero().eval(), "args": (torch.randn(3, 4),), "dynamic_shapes": {"x": {0: ROWS}}}


class _Assert(nn.Module):
    def forward(self, x):
        assert x.shape[1] == 4, "four columns"
        assert torch.isfinite(x).all(), "finite values"
        return x.softmax(1)


@entry
def value_assert() -> dict[str, Any]:
    return {"model": _Assert().eval(), "args": (torch.randn(3, 4),), "dynamic_shapes": {"x": {0: ROWS}}}


class _Early(nn.Module):
    """Early exit: the second stage runs only where the first isn't sure."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 3), nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, x):
        scores = self.first(x).softmax(-1)
        if scores.max(-1).values.min().item() > 0.5:
            return scores
        return (scores + self.second(x).softmax(-1)) / 2


@entry
def early_exit() -> dict[str, Any]:
    return {
        "model": _Early().eval(), "args": (torch.randn(1, 4),),
        "fresh": lambda number: (torch.randn(1, 4, generator=generator(number)) * (0.1 if number % 2 else 8),),
    }  # fmt: skip


class _Experts(nn.Module):
    """A mixture of experts by index_put, as many repositories write it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(6, 3)
        self.experts = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))

    def forward(self, x):
        weights, chosen = self.gate(x).softmax(-1).topk(2, dim=-1)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            rows, place = torch.where(chosen == number)
            if rows.numel() == 0:
                continue
            out[rows] += weights[rows, place, None] * expert(x[rows])
        return out


@entry
def mixture_of_experts() -> dict[str, Any]:
    return {"model": _Experts().eval(), "args": (torch.randn(6, 6),), "dynamic_shapes": {"x": {0: ROWS}}}
