"""Sizes that follow from others, and sizes that are left to be found."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.export import Dim as Named

from torchship.convert.capture import capture
from torchship.errors import InputError, UsageError
from torchship.models.described import described
from torchship.models.hints import settled
from torchship.models.model import Model
from torchship.models.open import prepare
from torchship.models.recorder import Recorder
from torchship.models.samples import example_for, fresh_inputs
from torchship.signature import Dim
from torchship.signature.check import check_relations
from torchship.targets.builder import Form

BATCH = Named("batch", min=1, max=20)


class Twice(nn.Module):
    def forward(self, x, y):
        return x + y[::2]


class Pairs(nn.Module):
    def forward(self, y):
        return y.reshape(y.shape[0] // 2, 2, 4).sum(1)


class Masked(nn.Module):
    def forward(self, now, past, mask):
        return torch.cat([past, now], 1).sum(-1) * mask


class Loose(nn.Module):
    def forward(self, x, y, z):
        return x + y, z.reshape(2, 3, -1).sum(-1)


def opened(model: nn.Module, shapes: Any, *sizes: tuple[int, ...]) -> Model:
    args = tuple(torch.randn(size) for size in sizes)
    return prepare(described({"model": model.eval(), "args": args, "dynamic_shapes": shapes}, "here"))


def twice(first: int = 3, second: int = 6) -> Model:
    return opened(Twice(), {"x": {0: BATCH}, "y": {0: 2 * BATCH}}, (first, 4), (second, 4))


def test_a_derived_dim_is_read_with_its_relation():
    assert twice().axes == (
        {0: Dim("batch", 1, 20)},
        {0: Dim("2*batch", 2, 40, root="batch", factor=2)},
    )


def test_fresh_sizes_keep_the_relation():
    model = twice()
    drawn = list(fresh_inputs(model, model.axes))
    assert {1, 2, 3, 20} <= {each.tensors[0].shape[0] for each in drawn}
    assert all(each.tensors[1].shape[0] == 2 * each.tensors[0].shape[0] for each in drawn)


def test_an_example_of_one_grows_with_what_follows_from_it():
    model = twice(1, 2)
    assert [tensor.shape[0] for tensor in example_for(model, model.axes)] == [2, 4]


def test_an_example_that_breaks_the_relation_is_told():
    model = twice(3, 7)
    with pytest.raises(UsageError, match=r"the example's size 2\*batch is 7, which doesn't follow from batch = 3"):
        example_for(model, model.axes)


def test_it_is_captured_open_and_the_signature_tells_it(tmp_path):
    past = Named("past", min=1, max=9)
    shapes = {"now": None, "past": {1: past}, "mask": {0: past + 1}}
    model = opened(Masked(), shapes, (2, 1, 3), (2, 5, 3), (6,))
    signature = Recorder(model, tmp_path).record("masked").signature
    assert [spec.shape for spec in signature.inputs] == [(2, 1, 3), (2, "past", 3), ("past+1",)]
    program = capture(model, Form.EXPORTED, signature).value
    answer = program.module()(torch.zeros(2, 1, 3), torch.ones(2, 8, 3), torch.ones(9))[0]
    assert answer.tolist() == [[3.0] * 8 + [0.0]] * 2


def test_a_root_that_no_input_has_is_in_the_signature(tmp_path):
    model = opened(Pairs(), {"y": {0: 2 * BATCH}}, (4, 4))
    signature = Recorder(model, tmp_path).record("pairs").signature
    assert signature.dims == (Dim("2*batch", 2, 40, root="batch", factor=2), Dim("batch", 1, 20))
    assert signature.sizes({"batch": 5}) == {"2*batch": 10, "batch": 5}
    check_relations(signature, {"2*batch": 6})
    with pytest.raises(InputError, match=r"2\*batch is 7"):
        check_relations(signature, {"2*batch": 7})


@pytest.mark.parametrize(
    ("batch", "double", "told"), [(3, 6, None), (3, 5, "where batch is 3"), (3, 8, "where batch is 3")]
)
def test_a_call_is_held_to_the_relation(tmp_path, batch, double, told):
    signature = Recorder(twice(), tmp_path).record("twice").signature
    sizes = {"batch": batch, "2*batch": double}
    if told is None:
        return check_relations(signature, sizes)
    with pytest.raises(InputError, match=told):
        check_relations(signature, sizes)
    return None


def test_sizes_left_to_be_found_are_joined_freed_or_fixed():
    auto = {0: Named.AUTO, 1: Named.DYNAMIC}
    model = opened(Loose(), {"x": auto, "y": auto, "z": auto}, (3, 5), (3, 5), (6, 7))
    axes, note = settled(model)
    assert axes == ({0: Dim("x_0"), 1: Dim("x_1")}, {0: Dim("x_0"), 1: Dim("x_1")}, {1: Dim("z_1")})
    assert note == (
        "of the sizes that were left to be found, y_0 = x_0, y_1 = x_1; the model takes no other size for z_0: fixed"
    )
