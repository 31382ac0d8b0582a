"""Graph networks: torch_geometric's convolutions, and message passing written out."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from entry import entry, generator
from torch import nn
from torch.export import Dim

NODES = Dim("nodes", min=2, max=60)
EDGES = Dim("edges", min=1, max=200)
SHAPES = {"x": {0: NODES}, "edge_index": {1: EDGES}}


def _graph(number: int) -> tuple[torch.Tensor, torch.Tensor]:
    nodes, edges = [(7, 20), (2, 1), (60, 200), (15, 33)][number % 4]
    draw = generator(number)
    return torch.randn(nodes, 8, generator=draw), torch.randint(0, nodes, (2, edges), generator=draw)


class _Two(nn.Module):
    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.conv1 = first
        self.conv2 = second

    def forward(self, x, edge_index):
        x = self.conv1(x, edge_index)
        x = F.relu(x)
        x = F.dropout(x, training=self.training)
        x = self.conv2(x, edge_index)
        return F.log_softmax(x, dim=1)


def _source(first: nn.Module, second: nn.Module) -> dict[str, Any]:
    return {"model": _Two(first, second).eval(), "args": _graph(0), "dynamic_shapes": SHAPES, "fresh": _graph}


@entry
def gcn() -> dict[str, Any]:
    from torch_geometric.nn import GCNConv

    return _source(GCNConv(8, 16), GCNConv(16, 3))


@entry
def sage() -> dict[str, Any]:
    from torch_geometric.nn import SAGEConv

    return _source(SAGEConv(8, 16), SAGEConv(16, 3))


@entry
def gat() -> dict[str, Any]:
    from torch_geometric.nn import GATConv

    return _source(GATConv(8, 8, heads=2), GATConv(16, 3, heads=1))


@entry
def gin() -> dict[str, Any]:
    from torch_geometric.nn import GINConv

    first = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16))
    return _source(GINConv(first), GINConv(nn.Linear(16, 3)))


class _Pooled(nn.Module):
    """Several graphs in one: pooled by which graph a node belongs to."""

    def __init__(self) -> None:
        super().__init__()
        from torch_geometric.nn import GraphConv

        self.conv = GraphConv(8, 12)
        self.head = nn.Linear(12, 2)

    def forward(self, x, edge_index, batch):
        from torch_geometric.nn import global_mean_pool

        return self.head(global_mean_pool(self.conv(x, edge_index).relu(), batch))


@entry
def graph_classifier() -> dict[str, Any]:
    """The number of graphs is the greatest entry of ``batch`` plus one: it depends on values."""

    def graphs(number: int) -> tuple[torch.Tensor, ...]:
        x, edges = _graph(number)
        return x, edges, torch.arange(x.shape[0]) * (1 + number % 3) // x.shape[0]

    return {
        "model": _Pooled().eval(), "args": graphs(3), "dynamic_shapes": SHAPES | {"batch": {0: NODES}}, "fresh": graphs
    }  # fmt: skip


class _Messages(nn.Module):
    """Message passing with index_add, three rounds with one GRU cell."""

    def __init__(self) -> None:
        super().__init__()
        self.message = nn.Linear(16, 8)
        self.update = nn.GRUCell(8, 8)
        self.out = nn.Linear(8, 1)

    def forward(self, x, edge_index):
        source, target = edge_index
        for _ in range(3):
            sent = torch.relu(self.message(torch.cat([x[source], x[target]], dim=1)))
            received = torch.zeros_like(x).index_add_(0, target, sent)
            x = self.update(received, x)
        return self.out(x).sum()


@entry
def message_passing() -> dict[str, Any]:
    return {"model": _Messages().eval(), "args": _graph(0), "dynamic_shapes": SHAPES, "fresh": _graph}
