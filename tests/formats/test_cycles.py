from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from torchship.formats import recognise
from torchship.formats.cycles import has_cycle


@pytest.mark.parametrize(
    ("depends", "cycle"),
    [
        ({}, False),
        ({"a": ["b"], "b": ["c"]}, False),
        ({"a": ["b", "c"], "b": ["c"], "c": []}, False),
        ({"a": ["a"]}, True),
        ({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]}, True),
    ],
)
def test_cycles(depends: dict[str, list[str]], cycle: bool) -> None:
    assert has_cycle(depends) is cycle


def _reasons(path: Path, graph: onnx.GraphProto, functions: list[onnx.FunctionProto]) -> tuple[str, ...]:
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    onnx.save(helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=9), path)
    return recognise.look(path).reasons


def test_models_that_bite_their_own_tails_are_not_safe(tmp_path: Path) -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy")
    ring = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Add", ["a", "x"], ["b"])]
    told = _reasons(
        tmp_path / "m", helper.make_graph([*ring, helper.make_node("Relu", ["b"], ["y"])], "g", [x], [y]), []
    )
    assert told == ("has values that depend on themselves",)
    opset = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    pair = [
        helper.make_function("own", name, ["a"], ["b"], [helper.make_node(other, ["a"], ["b"], domain="own")], opset)
        for name, other in (("f", "g"), ("g", "f"))
    ]
    graph = helper.make_graph([helper.make_node("f", ["x"], ["y"], domain="own")], "g", [x], [y])
    assert _reasons(tmp_path / "m", graph, pair) == ("has functions that call themselves, over and over",)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda w: w.dims.__setitem__(0, 1000), "declares 12000 bytes for 'w' and holds 48"),
        (lambda w: w.ClearField("raw_data"), "declares 12 numbers for 'w' and holds none"),
        (lambda w: (w.ClearField("raw_data"), w.float_data.extend([1.0])), "holds 1 at most"),
    ],
)
def test_numbers_that_are_declared_and_not_there(change: object, why: str, tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    weight = numpy_helper.from_array(np.ones((4, 3), np.float32), "w")
    change(weight)  # type: ignore[operator]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [x], [weight])
    assert any(why in reason for reason in _reasons(tmp_path / "m", graph, []))
