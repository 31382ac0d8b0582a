"""Tables, recommendations, forecasts."""

from __future__ import annotations

from typing import Any

import torch
from entry import entry, generator
from torch import nn
from torch.export import Dim

BATCH = Dim("batch", min=1, max=32)


class _Recommend(nn.Module):
    """DLRM in small: dense features, bags of sparse ones by offsets, their interactions."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 8))
        self.bags = nn.ModuleList(nn.EmbeddingBag(40, 8, mode="sum") for _ in range(2))
        self.top = nn.Sequential(nn.Linear(11, 16), nn.ReLU(), nn.Linear(16, 1), nn.Sigmoid())

    def forward(self, dense, items, offsets):
        x = self.dense(dense)
        features = torch.stack([x, *(bag(items, offsets) for bag in self.bags)], dim=1)
        products = torch.bmm(features, features.transpose(1, 2))
        li, lj = torch.tril_indices(3, 3, offset=-1)
        return self.top(torch.cat([x, products[:, li, lj]], dim=1))


def _bags(number: int) -> tuple[torch.Tensor, ...]:
    draw = generator(number)
    batch, count = [(3, 10), (1, 1), (32, 100), (5, 7)][number % 4]
    offsets = torch.sort(torch.randint(0, count, (batch,), generator=draw)).values
    offsets[0] = 0
    return torch.randn(batch, 5, generator=draw), torch.randint(0, 40, (count,), generator=draw), offsets


@entry
def dlrm() -> dict[str, Any]:
    return {
        "model": _Recommend().eval(), "args": _bags(0), "fresh": _bags,
        "dynamic_shapes": {"dense": {0: BATCH}, "items": {0: Dim("items", min=1, max=100)}, "offsets": {0: BATCH}},
    }  # fmt: skip


class _Table(nn.Module):
    """Categories through embeddings, numbers through a batch norm: fastai's tabular model."""

    def __init__(self) -> None:
        super().__init__()
        self.embeds = nn.ModuleList([nn.Embedding(size, width) for size, width in [(7, 3), (12, 4), (30, 6)]])
        self.bn = nn.BatchNorm1d(6)
        self.layers = nn.Sequential(nn.Linear(19, 24), nn.ReLU(), nn.BatchNorm1d(24), nn.Dropout(0.3), nn.Linear(24, 2))

    def forward(self, x_cat, x_cont):
        x = [e(x_cat[:, i]) for i, e in enumerate(self.embeds)]
        return self.layers(torch.cat([torch.cat(x, 1), self.bn(x_cont)], 1))


@entry
def categories() -> dict[str, Any]:
    return {
        "model": _Table().eval(), "args": (torch.randint(0, 7, (4, 3)), torch.randn(4, 6)),
        "dynamic_shapes": {"x_cat": {0: BATCH}, "x_cont": {0: BATCH}},
    }  # fmt: skip


class _Factors(nn.Module):
    """DeepFM: one shared table with offsets for each field."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("offsets", torch.tensor([0, 10, 30]))
        self.linear = nn.Embedding(60, 1)
        self.table = nn.Embedding(60, 6)
        self.deep = nn.Sequential(nn.Linear(18, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, fields):
        fields = fields + self.offsets
        each = self.table(fields)
        pairs = 0.5 * (each.sum(1).pow(2) - each.pow(2).sum(1)).sum(1, keepdim=True)
        return torch.sigmoid((self.linear(fields).sum(1) + pairs + self.deep(each.flatten(1))).squeeze(1))


@entry
def deep_fm() -> dict[str, Any]:
    return {
        "model": _Factors().eval(),
        "args": (torch.randint(0, 10, (4, 3)),),
        "dynamic_shapes": {"fields": {0: BATCH}},
    }


class _Beats(nn.Module):
    """N-BEATS: each block takes what it explains from what is left."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 16)) for _ in range(3))

    def forward(self, history):
        left, forecast = history, 0.0
        for block in self.blocks:
            theta = block(left)
            left = left - theta[:, :12]
            forecast = forecast + theta[:, 12:]
        return forecast


@entry
def n_beats() -> dict[str, Any]:
    return {"model": _Beats().eval(), "args": (torch.randn(3, 12),)}


class _Trees(nn.Module):
    """A soft decision tree, with its leaves' paths as constants made in forward."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.Linear(6, 7)
        self.leaves = nn.Parameter(torch.randn(8, 3))

    def forward(self, x):
        right = torch.sigmoid(self.gates(x))
        paths = torch.ones(x.shape[0], 8)
        node = torch.zeros(8, dtype=torch.long)
        for depth in range(3):
            bit = (torch.arange(8) >> (2 - depth)) & 1
            gate = right[:, node]
            paths = paths * torch.where(bit.bool(), gate, 1 - gate)
            node = 2 * node + 1 + bit
        return paths @ self.leaves


@entry
def soft_tree() -> dict[str, Any]:
    return {"model": _Trees().eval(), "args": (torch.randn(3, 6),), "dynamic_shapes": {"x": {0: BATCH}}}
