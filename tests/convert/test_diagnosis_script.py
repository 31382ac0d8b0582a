"""What TorchScript refuses, and what can't go from it to an exported program, told; and what can go, right."""

from __future__ import annotations

import pytest
import torch
from torch.export import Dim

from convert import script_breakers
from convert.breakers import blamed
from torchship.convert.diagnosis import diagnose
from torchship.errors import TorchshipError
from torchship.signature import Signature
from torchship.signature.tree import Constant
from torchship.targets.builder import Captured, Form
from torchship.targets.exported.from_script import program_of

pytestmark = pytest.mark.filterwarnings("ignore")

X = torch.arange(48.0).reshape(2, 6, 4) / 48 - 0.3
ROWS, TIME = Dim("rows", min=1, max=64), Dim("time", min=1, max=64)


def captured(model: torch.nn.Module, axes: dict[int, object]) -> Captured:
    nothing = Signature((), (), (), (), Constant(None))
    return Captured(Form.SCRIPTED, torch.jit.script(model.eval()), (X,), nothing, (axes,))


def told_of(call) -> TorchshipError:
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever a tool raises
        return diagnose(error, "converting")
    raise AssertionError("it was to fail, and went well")


@pytest.mark.parametrize(
    ("name", "named", "reason", "hint"),
    [
        ("Skips", "continue", "takes no break or continue in it", "under an if"),
        ("TwoTypes", "for", "place is a Tensor first and a int then", "another name"),
        ("SetsData", "Tensor.data", "can't set .data of a tensor", "self.weight * self.mask"),
    ],
)
def test_python_that_torchscript_does_not_know(name, named, reason, hint):
    model = getattr(script_breakers, name)
    error = told_of(lambda: torch.jit.script(model().eval()))
    assert reason in error.what
    assert hint in str(error.hint)
    assert error.where == blamed(model)
    assert error.op == named


def test_a_loop_that_no_exported_program_can_hold():
    error = told_of(lambda: program_of(captured(script_breakers.Turns(), {1: TIME})))
    assert "a loop whose number of turns isn't fixed" in error.what
    assert error.op == "prim.Loop"
    assert "torchscript:script" in str(error.hint)


def test_a_size_that_is_looked_up():
    model = script_breakers.Remembers()
    error = told_of(lambda: torch.export.export(model, (X,), dynamic_shapes=({1: TIME},), strict=False))
    assert "looked up in a dict or a set" in error.what
    assert error.where == blamed(script_breakers.Remembers)


def test_branches_and_asserts_go_from_script_to_an_exported_program():
    model = script_breakers.Checks()
    module = program_of(captured(model, {0: ROWS})).module()
    for given in (X, -X, torch.ones(5, 6, 4), -torch.ones(1, 6, 4)):
        torch.testing.assert_close(module(given), model(given))


@pytest.mark.filterwarnings("ignore")
def test_layers_that_were_quantised_before():
    model = torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(torch.nn.Linear(4, 2)).eval(), dtype=torch.qint8)
    error = told_of(lambda: torch.export.export(model, (X[:, 0],)))
    assert "their packed weights go into TorchScript alone" in error.what
    assert error.op == "quantized.linear_dynamic"
    assert "ship the float model" in str(error.hint)
