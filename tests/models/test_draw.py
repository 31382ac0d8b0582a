from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchship.models import draw
from torchship.models.source import input_spec

STYLES = ("usual", "zero", "low", "high", "large")


def generator():
    return torch.Generator().manual_seed(0)


@given(st.integers(-50, 50), st.integers(0, 50), st.sampled_from(STYLES), st.sampled_from([torch.int64, torch.int32]))
def test_integers_stay_in_their_examples_range(low, spread, style, dtype):
    like = torch.tensor([low, low + spread], dtype=dtype)
    drawn = draw.fresh(like, (3, 4), style, generator())
    assert drawn.shape == (3, 4)
    assert drawn.dtype == dtype
    assert low <= int(drawn.min()) <= int(drawn.max()) <= low + spread


@given(st.integers(1, 9), st.integers(1, 9))
def test_a_padding_mask_never_masks_a_whole_row(batch, length):
    like = torch.tensor([[True, True, True, False], [True, False, False, False]])
    drawn = draw.fresh(like, (batch, length), "usual", generator())
    assert bool(drawn.any(-1).all())


def test_a_causal_mask_stays_causal_at_another_size():
    like = torch.ones(4, 4).tril().bool()
    drawn = draw.fresh(like, (6, 6), "zero", generator())
    assert bool(drawn.diagonal().all())
    assert drawn.shape == (6, 6)


def test_what_was_never_negative_stays_so():
    drawn = draw.fresh(torch.rand(10), (100,), "usual", generator())
    assert float(drawn.min()) >= 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int8", "uint8", "bool", "complex64"])
def test_examples_of_every_type(dtype):
    made = draw.example(input_spec(f"x:{dtype}[n,3]"), {"n": 2}, generator())
    assert made.shape == (2, 3)
    assert str(made.dtype) == f"torch.{dtype}"


def test_offsets_stay_sorted_from_their_first_on_and_end_where_the_data_does():
    like = torch.tensor([0, 2, 5, 7])  # the last one is the size n = 7 of the call
    drawn = draw.structured(like, torch.tensor([3, 1, 6, 2, 5]), {7: 12})
    assert drawn.tolist() == [0, 2, 3, 5, 12]
    assert draw.structured(torch.tensor([0, 2, 5]), torch.tensor([3, 1, 4]), {7: 12}).tolist() == [0, 3, 4]


def test_lengths_are_no_longer_than_what_they_measure():
    like = torch.tensor([7, 3, 5])
    assert draw.structured(like, torch.tensor([6, 7, 2]), {7: 4}).tolist() == [4, 4, 2]


def test_floats_and_masks_have_no_such_structure():
    floats, mask = torch.rand(3), torch.tensor([True, False])
    assert draw.structured(floats, floats, {7: 4}) is floats
    assert draw.structured(mask, mask, {7: 4}) is mask


@pytest.mark.parametrize("style", ["low", "high"])
def test_extremes_lie_within_the_range_and_apart(style):
    like = torch.tensor([-2.0, 0.5, 3.0])
    drawn = draw.fresh(like, (200,), style, torch.Generator().manual_seed(0))
    assert drawn.min() >= -2
    assert drawn.max() <= 3
    assert len(drawn.unique()) == 200
    end = -2 if style == "low" else 3
    assert ((drawn - end).abs() <= 1).float().mean() > 0.7
