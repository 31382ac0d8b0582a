from __future__ import annotations

import warnings

import torch
from torch import nn

from torchship.worker.dropped import dropped_write


class Drops(nn.Module):
    def forward(self, kept: torch.Tensor, more: torch.Tensor) -> torch.Tensor:
        kept = kept.clone()
        kept[1:] &= more
        return kept


class Keeps(nn.Module):
    def forward(self, kept: torch.Tensor, more: torch.Tensor) -> torch.Tensor:
        kept = kept.clone()
        kept[1:] += more
        return kept & (more.sum() > 0)


def scripted(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(model)


def test_torchscript_drops_a_bitwise_write_to_a_part_and_the_line_is_told():
    kept, more = torch.tensor([True, True, True]), torch.tensor([False, True])
    assert Drops()(kept, more).tolist() == [True, False, True]
    assert scripted(Drops())(kept, more).tolist() == [True, True, True]
    place = dropped_write(nn.Sequential(Drops()))
    assert place is not None
    assert place.code == "kept[1:] &= more"
    assert str(place) == f"test_dropped.py:{Drops.forward.__code__.co_firstlineno + 2} in forward"


def test_a_sum_in_place_is_kept():
    kept, more = torch.tensor([1, 2, 3]), torch.tensor([4, 5])
    assert torch.equal(Keeps()(kept, more), scripted(Keeps())(kept, more))
    assert dropped_write(Keeps()) is None
