from __future__ import annotations

import pytest

import torchship
from models import bags
from torchship.models.model import Description
from torchship.models.open import prepare
from torchship.models.recorder import Recorder


def recorded(made, folder):
    described = Description(made["model"], args=made["args"], dynamic_shapes=made["dynamic_shapes"], sized=True)
    return Recorder(prepare(described), folder).record("bags")


def test_fresh_sizes_are_proven_also_where_random_whole_numbers_are_no_input(tmp_path):
    reference = recorded(bags.bags(), tmp_path)
    assert {sample.sizes["batch"] for sample in reference.samples} >= {1, 2, 3, 7, 16}
    assert {sample.sizes["n"] for sample in reference.samples} >= {1, 2, 3, 7, 15}
    assert reference.unproven == {}


def test_sizes_that_no_input_could_prove_are_told(tmp_path):
    assert recorded(bags.picky(), tmp_path).unproven == {"batch": "ValueError: no such key"}


def test_a_trace_is_refused_where_its_sizes_cannot_be_proven(tmp_path):
    with pytest.raises(torchship.errors.ConstraintError) as caught:
        torchship.ship(**bags.picky(), output=tmp_path / "out", targets="torchscript:trace")
    assert "a trace may bake in the size batch" in str(caught.value)
