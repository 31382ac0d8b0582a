from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from models.nets import (
    Batch,
    Counts,
    Draws,
    Exits,
    HardFloat,
    LooksAtAll,
    Mixes,
    OfRecord,
    Rebinds,
    Remembers,
    Structured,
)
from torchship.errors import SourceError, UsageError
from torchship.models import eager
from torchship.models.batch import propose
from torchship.models.borrow import borrowed
from torchship.models.described import described
from torchship.models.dynamic import axes_of
from torchship.models.model import Description
from torchship.models.open import open_source, prepare
from torchship.models.recorder import Recorder
from torchship.models.samples import fresh_sizes
from torchship.models.source import parse
from torchship.models.state import refuse_unrepeatable
from torchship.signature import Constant, Dim, unflatten


def recorded(tmp_path, description):
    return Recorder(prepare(description), tmp_path).record("test")


def test_names_follow_the_parameters_and_the_structure():
    x = torch.ones(2, 4)
    model = prepare(Description(Structured(), ({"a": x}, x, x)))
    assert model.names == ("x.a", "more.0", "more.1")
    assert [parameter.name for parameter in model.parameters] == ["x", "more", "mode"]
    assert model.parameters[2].tree == Constant("sum")
    assert model.parameters[2].kind == "keyword"


def test_the_result_comes_back_in_the_users_structure(tmp_path):
    x = torch.ones(2, 4)
    reference = recorded(tmp_path, Description(Structured(), ({"a": x}, x)))
    signature = reference.signature
    assert [spec.name for spec in signature.outputs] == ["score", "extra.total"]
    back = unflatten(signature.result, [np.zeros(1), np.ones(1)])
    assert back._fields == ("score", "extra")
    assert back.extra["none"] is None
    assert back.extra["total"][0] == 1


def test_a_dataclass_goes_in(tmp_path):
    reference = recorded(tmp_path, Description(OfRecord(), (Batch(torch.ones(2, 3), torch.ones(2, 3)),)))
    assert [spec.name for spec in reference.signature.inputs] == ["batch.a", "batch.b"]
    assert [spec.name for spec in reference.signature.outputs] == ["output"]


def test_the_batch_is_proposed_and_proven(tmp_path):
    reference = recorded(tmp_path, Description(nn.Linear(4, 2).eval(), (torch.ones(2, 4),)))
    assert reference.signature.inputs[0].shape == ("batch", 4)
    assert reference.signature.outputs[0].shape == ("batch", 2)
    assert {sample.sizes["batch"] for sample in reference.samples} >= {1, 2, 3, 5}


def test_rows_that_depend_on_each_other_are_no_batch():
    axes, told = propose(prepare(Description(Mixes(), (torch.randn(2, 4),))))
    assert not any(axes)
    assert "depends on the other rows" in told


def test_a_branch_on_all_rows_is_no_batch_though_three_alike_rows_agree():
    axes, told = propose(prepare(Description(LooksAtAll(), (torch.randn(2, 4),))))
    assert not any(axes)
    assert "depends on the other rows" in told


def test_a_random_draw_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"not deterministic: aten\.rand_like draws random numbers") as error:
        recorded(tmp_path, Description(Draws(), (torch.ones(2, 4),)))
    assert error.value.where.startswith("nets.py:")


def test_a_changed_buffer_is_refused_by_name(tmp_path):
    with pytest.raises(SourceError, match=r"changes its own state \(calls\) by aten\.add_") as error:
        recorded(tmp_path, Description(Counts(), (torch.ones(2, 4),)))
    assert error.value.where.startswith("nets.py:")


@pytest.mark.parametrize(("net", "name"), [(Rebinds(), "mean"), (Remembers(), "calls")])
def test_a_rebound_buffer_or_attribute_is_a_state_too(tmp_path, net, name):
    with pytest.raises(SourceError, match=rf"changes its own state \({name}\)"):
        recorded(tmp_path, Description(net.eval(), (torch.ones(2, 4),)))


def test_a_state_that_does_not_show_is_noted_and_put_back(tmp_path):
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).eval()
    net[1].train()
    model = prepare(Description(net, (torch.randn(3, 4),)))
    notes = refuse_unrepeatable(model, model.examples)
    assert "1.running_mean" in notes[0]
    assert int(net[1].num_batches_tracked) == 0
    with borrowed(net):
        recorded(tmp_path, Description(net, (torch.randn(3, 4),)))
    assert int(net[1].num_batches_tracked) == 0


def test_a_forward_that_exits_is_told(tmp_path):
    with pytest.raises(SourceError, match=r"called exit\(3\)"):
        recorded(tmp_path, Description(Exits(), (torch.ones(2, 4),)))


def test_float64_is_had_from_a_model_that_asks_for_float32(tmp_path):
    reference = recorded(tmp_path, Description(HardFloat(), (torch.ones(2, 4, dtype=torch.uint8),)))
    exact = np.load(tmp_path / reference.samples[0].exact)["0"]
    assert exact.dtype == np.float64
    assert not any("float64" in note for note in reference.notes)


def test_training_mode_is_switched_off_with_a_note_and_eval_mode_left_alone():
    net = nn.Sequential(nn.Linear(4, 4), nn.Dropout())
    model = prepare(Description(net, (torch.ones(2, 4),)))
    assert model.notes == ("Sequential was in training mode and was put into eval mode",)
    kept = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).eval()
    kept[1].train()
    prepare(Description(kept, (torch.ones(2, 4),)))
    assert kept[1].training
    assert not kept.training


def test_a_borrowed_module_comes_back_bit_for_bit():
    net = nn.Linear(4, 4)
    weight, training = net.weight.detach().clone(), net.training
    with borrowed(net):
        net.double().eval().requires_grad_(False)
    assert net.weight.dtype == torch.float32
    assert torch.equal(net.weight, weight)
    assert net.training is training
    assert net.weight.requires_grad


def test_dynamic_shapes_in_all_of_their_forms():
    x = torch.ones(2, 4)
    batch = torch.export.Dim("batch", min=1, max=64)
    assert axes_of({"x": x}, {"x": {0: batch}}) == [{0: Dim("batch", 1, 64)}]
    assert axes_of({"x": x}, ({0: "rows"},)) == [{0: Dim("rows")}]
    assert axes_of({"x": x}, {"x": (batch, None)}) == [{0: Dim("batch", 1, 64)}]
    assert axes_of({"x": {"a": x, "b": x}}, {"x": {"b": {1: batch}}}) == [{}, {1: Dim("batch", 1, 64)}]
    named = axes_of({"x": x}, {"x": {0: torch.export.Dim.DYNAMIC}})
    assert list(named[0]) == [0]


@pytest.mark.parametrize("shapes", [{"y": {0: "b"}}, {"x": {5: "b"}}, {"x": 3}, 7])
def test_dynamic_shapes_that_do_not_fit_are_refused(shapes):
    with pytest.raises(UsageError):
        axes_of({"x": torch.ones(2, 4)}, shapes)


def test_fresh_sizes_hold_one_an_odd_one_and_the_ends():
    sizes = fresh_sizes((torch.ones(4, 3),), ({0: Dim("b", 1, 16)},))
    assert [each["b"] for each in sizes] == [1, 2, 3, 9, 16]


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (3, "gives a int, which is no model"),
        ({"args": ()}, "which is no model"),
        ({"model": nn.Identity(), "colour": 1}, "gives colour, which nobody reads"),
        ({"model": 3}, "'model' is a int"),
    ],
)
def test_a_source_that_gives_something_else_is_told(found, told):
    with pytest.raises(SourceError, match=told):
        described(found, "net.py:make")


def write(tmp_path, text):
    file = tmp_path / "usersnet.py"
    file.write_text(text)
    return str(file)


def test_a_factory_that_raises_is_told_with_its_own_line(tmp_path):
    file = write(tmp_path, "def make():\n    raise KeyError('weights')\n")
    with pytest.raises(SourceError) as error:
        open_source(parse(f"{file}:make"))
    assert "KeyError: 'weights'" in error.value.what
    assert error.value.where == "usersnet.py:2 in make"


def test_a_name_that_is_not_there_lists_what_is(tmp_path):
    file = write(tmp_path, "def make(): ...\n")
    with pytest.raises(UsageError) as error:
        open_source(parse(f"{file}:mkae"))
    assert error.value.hint == "it has: make"


def test_a_factory_gives_the_same_weights_each_time(tmp_path):
    file = write(
        tmp_path,
        "import torch\ndef make():\n    return {'model': torch.nn.Linear(2, 2), 'args': (torch.randn(2, 2),)}\n",
    )
    one, other = (open_source(parse(f"{file}:make")) for _ in range(2))
    assert torch.equal(one.description.model.weight, other.description.model.weight)
    assert torch.equal(one.examples[0], other.examples[0])


def test_no_example_inputs_says_how_to_give_them(tmp_path):
    file = write(tmp_path, "import torch\nnet = torch.nn.Linear(2, 2)\n")
    with pytest.raises(UsageError, match="comes without example inputs"):
        open_source(parse(f"{file}:net"))
    model = open_source(parse(f"{file}:net", inputs=("input:float32[batch,2]",)))
    assert model.examples[0].shape == (2, 2)
    assert model.axes[0][0].name == "batch"


def test_an_example_that_does_not_fit_names_forward():
    with pytest.raises(UsageError, match="missing a required argument: 'input'"):
        prepare(Description(nn.Linear(2, 2), (), {"x": torch.ones(1)}))


def test_bfloat16_travels_as_float32():
    array = eager.as_array(torch.ones(2, dtype=torch.bfloat16))
    assert array.dtype == np.float32
