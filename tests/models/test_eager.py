"""Running the model as it is."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from torchship.models.described import described
from torchship.models.eager import as_array, noisier, run, sensitivity
from torchship.models.open import prepare


def test_a_scalar_stays_a_scalar_and_strides_become_plain() -> None:
    assert as_array(torch.tensor(2.5)).shape == ()
    turned = as_array(torch.arange(6).reshape(2, 3).t())
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(turned, [[0, 3], [1, 4], [2, 5]])
    assert as_array(torch.ones(2, dtype=torch.bfloat16)).dtype == np.float32


class Ties(nn.Module):
    """Of equal scores the first two are taken, and told by place and by value."""

    def forward(self, x):
        best = (x * 1e-3).topk(2, dim=1).indices
        return best, torch.gather(torch.arange(4.0).expand_as(x) * 9, 1, best), x.sum()


def test_what_a_rounding_error_turns_is_nobodys() -> None:
    model = prepare(described({"model": Ties().eval(), "args": (torch.randn(2, 4),)}, "here"))
    zeros = (torch.zeros(2, 4),)
    answer = run(model.flat, zeros)
    moves = sensitivity(model.flat, zeros, answer, model.examples)
    places, values, total = noisier(answer, answer, moves, run(model.flat, model.examples))
    turned = places != answer[0]
    assert turned.any()
    assert (np.isinf(values) == turned).all()
    assert 0 < total < 1e-4


def test_what_no_rounding_error_turns_stays_exact() -> None:
    model = prepare(described({"model": nn.ReLU().eval(), "args": (torch.randn(2, 4),)}, "here"))
    answer = run(model.flat, (torch.full((2, 4), -1.0),))
    moves = sensitivity(model.flat, (torch.full((2, 4), -1.0),), answer, model.examples)
    assert noisier(answer, answer, moves, answer)[0].tolist() == answer[0].tolist()


def test_where_rounding_is_most_of_an_answer_all_of_it_is_nobodys() -> None:
    """A constant image, normalised again and again: what float64 gives is as far from eager as anything."""
    usual, moves = [np.float32([1.0, -2.0, 3.0, 4.0])], [np.array([0.9, 1.3, 2.0, 1e-6])]
    eager, true = [np.float32([0.1, -0.4, 2.0, 0.5])], [np.float64([1.5, 0.3, -3.0, 0.5])]
    assert np.isinf(noisier(eager, true, moves, usual)[0]).all()


def test_a_few_elements_that_rounding_turns_are_alone_nobodys() -> None:
    usual, moves = [np.float32([1.0, -2.0, 3.0, 4.0])], [np.array([0.9, 1e-6, 2e-6, 1e-6])]
    eager, true = [np.float32([0.1, -0.4, 2.0, 0.5])], [np.float64([1.5, -0.4, 2.0, 0.5 + 1e-5])]
    found = noisier(eager, true, moves, usual)[0]
    assert np.isinf(found).tolist() == [True, False, False, False]
    assert found[3] == 0.5 + 1e-5
    assert found[2] == 2.0 + 2e-6
