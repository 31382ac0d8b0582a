"""A model whose whole numbers have a structure: offsets into a bag, which no random draw gives."""

from __future__ import annotations

import torch
from torch import nn
from torch.export import Dim

BATCH, LENGTH = Dim("batch", min=1, max=16), Dim("n", min=1, max=64)


class Bags(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(20, 2, mode="sum", include_last_offset=True)

    def forward(self, dense, indices, offsets):
        return self.bag(indices, offsets) + dense


def bags():
    dense, indices, offsets = torch.randn(3, 2), torch.randint(0, 20, (7,)), torch.tensor([0, 2, 5, 7])
    shapes = {"dense": {0: BATCH}, "indices": {0: LENGTH}, "offsets": {0: BATCH + 1}}
    return {"model": Bags().eval(), "args": (dense, indices, offsets), "dynamic_shapes": shapes}


class Picky(nn.Module):
    """Takes one very vector of whole numbers, and nothing that anybody would draw."""

    def forward(self, x, key, **ignored):
        if key.tolist() != list(range(2 + 3 * len(x), 2, -3)):
            raise ValueError("no such key")
        return x * 2


def picky():
    shapes = {"x": {0: BATCH}, "key": {0: BATCH}}
    return {"model": Picky().eval(), "args": (torch.randn(3, 2), torch.tensor([11, 8, 5])), "dynamic_shapes": shapes}
