from __future__ import annotations

import numpy as np
import torch
from torch import nn

from torchship.models.eager import run
from torchship.models.model import Description
from torchship.models.open import prepare
from torchship.models.ties import undecided


class Choosing(nn.Module):
    def forward(self, scores, rows):
        kept = scores.topk(2, dim=1)
        best = scores.max(dim=1)
        return kept.values, kept.indices, rows.gather(1, kept.indices), best.values, scores.argmax(), scores.sum(1)


def marks(module, *tensors):
    model = prepare(Description(module.eval(), args=tensors))
    found = undecided(model.flat, tensors, run(model.flat, tensors))
    return found and [mask.tolist() for mask in found.masks]


ROWS = torch.arange(8.0).reshape(2, 4)


def test_what_hangs_on_equal_scores_is_marked_and_nothing_else():
    tied = torch.tensor([[1.0, 3.0, 3.0, 3.0], [4.0, 0.0, 3.0, 1.0]])
    values, indices, taken, best, place, total = marks(Choosing(), tied, ROWS)
    assert values == [[False, False], [False, False]]
    assert indices == taken == [[True, True], [False, False]]
    assert best == total == [False, False]
    assert place is False


def test_without_equal_scores_all_is_decided():
    apart = torch.tensor([[1.0, 3.0, 2.0, 0.0], [4.0, 0.0, 3.0, 1.0]])
    assert not np.any([np.any(mask) for mask in marks(Choosing(), apart, ROWS)])


def test_a_model_that_chooses_nothing_is_let_alone():
    assert marks(nn.Linear(4, 2), ROWS) is None


class Sorting(nn.Module):
    def forward(self, scores):
        return (
            scores.argsort(dim=-1, stable=True),
            scores.sort(dim=-1)[1],
            scores.argmin(),
            scores.flatten().kthvalue(3)[1],
        )


def test_a_stable_sort_promises_its_order():
    stable, unstable, least, third = marks(Sorting(), torch.zeros(1, 6))
    assert not np.any(stable)
    assert np.sum(unstable) > 3
    assert least is True
    assert third is True


class Kept(nn.Module):
    def forward(self, scores, rows):
        return rows[:, : int(scores.argmax()) + 1]


def test_sizes_that_hang_on_ties_are_told():
    model = prepare(Description(Kept().eval(), args=(torch.zeros(9), ROWS)))
    tensors = (torch.zeros(4), ROWS)
    found = undecided(model.flat, tensors, run(model.flat, tensors))
    assert found is not None
    assert found.sizes


def test_undecided_elements_are_nobodys():
    model = prepare(Description(Choosing().eval(), args=(torch.zeros(2, 4), ROWS)))
    answer = run(model.flat, (torch.zeros(2, 4), ROWS))
    found = undecided(model.flat, (torch.zeros(2, 4), ROWS), answer)
    assert found is not None
    values, indices, taken, *_ = found.spread().told(answer, None)
    assert np.array_equal(values, answer[0])
    assert np.all(indices != answer[1])
    assert np.all(np.isinf(taken))
