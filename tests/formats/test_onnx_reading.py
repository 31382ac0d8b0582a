"""What an ``.onnx`` file says of itself, against what onnx wrote."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from small_bundle import write_onnx
from torchship.errors import MalformedError, RefusedError
from torchship.formats import onnx as reading
from torchship.formats.mapped import mapped
from torchship.formats.protobuf import fields
from torchship.signature import TensorSpec


def _read(model: Any) -> reading.Contents:
    return reading.read(memoryview(model.SerializeToString()))


def _model(nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: Any = (), **more: Any) -> Any:
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9, **more)


@pytest.mark.parametrize(
    ("number", "dtype"),
    [
        (TensorProto.FLOAT, "float32"),
        (TensorProto.INT64, "int64"),
        (TensorProto.BOOL, "bool"),
        (TensorProto.BFLOAT16, "bfloat16"),
    ],
)
def test_inputs_and_outputs(number: int, dtype: str) -> None:
    value = helper.make_tensor_value_info("x", number, ["n", 3, None])
    scalar = helper.make_tensor_value_info("y", number, [])
    contents = _read(_model([helper.make_node("Identity", ["x"], ["y"])], [value], [scalar]))
    assert contents.inputs == [TensorSpec("x", dtype, ("n", 3, "x_2"))]
    assert contents.outputs == [TensorSpec("y", dtype, ())]
    assert [dim.name for dim in contents.dims] == ["n", "x_2"]
    assert contents.domains == []


def test_an_input_without_a_shape_is_told() -> None:
    value = helper.make_tensor_value_info("x", 1, None)
    contents = _read(_model([helper.make_node("Identity", ["x"], ["y"])], [value], [value]))
    assert contents.unreadable == ["doesn't say which shape 'x' has"] * 2


def test_external_data_is_found_wherever_it_is_hidden() -> None:
    def hidden(location: str) -> Any:
        tensor = numpy_helper.from_array(np.ones(2, np.float32), location)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        return tensor

    x, y = (helper.make_tensor_value_info(name, 1, ["n"]) for name in "xy")
    branch = helper.make_graph([helper.make_node("Constant", [], ["c"], value=hidden("in a branch"))], "b", [], [y])
    sparse = onnx.SparseTensorProto(values=hidden("in sparse values"), indices=hidden("in sparse indices"), dims=[3])
    nodes = [
        helper.make_node("Constant", [], ["c"], value=hidden("in an attribute")),
        helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch),
        helper.make_node("Constant", [], ["s"], sparse_value=sparse),
    ]
    function = helper.make_function(
        "local", "f", ["a"], ["b"], [helper.make_node("Constant", [], ["b"], value=hidden("in a function"))], []
    )
    contents = _read(_model(nodes, [x], [y], [hidden("in an initializer")], functions=[function]))
    assert {external.location for external in contents.external} == {
        "in a branch", "in sparse values", "in sparse indices", "in an attribute", "in a function", "in an initializer",
    }  # fmt: skip


def test_operators_of_the_models_own_functions_are_not_foreign() -> None:
    x, y = (helper.make_tensor_value_info(name, 1, ["n"]) for name in "xy")
    function = helper.make_function("local", "f", ["a"], ["b"], [helper.make_node("Identity", ["a"], ["b"])], [])
    nodes = [helper.make_node("f", ["x"], ["m"], domain="local"), helper.make_node("g", ["m"], ["y"], domain="other")]
    assert _read(_model(nodes, [x], [y], functions=[function])).domains == ["other"]


def test_data_that_is_declared_and_not_there_is_told(tmp_path: Path) -> None:
    tensor = TensorProto(name="w", data_type=1, dims=[10**9, 10**9])
    x = helper.make_tensor_value_info("x", 1, ["n"])
    contents = _read(_model([helper.make_node("Identity", ["x"], ["y"])], [x], [x], [tensor]))
    assert reading.reasons_against(contents, tmp_path) == [
        "declares 1000000000000000000 numbers for 'w' and holds none"
    ]


def test_a_model_is_recognised_by_its_content(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m")
    with mapped(tmp_path / "m") as raw:
        assert reading.looks_like(raw)
    for other in (b"", b"text", b"\x80\x02}.", b"PK\x03\x04", b"\x08\x01"):
        assert not reading.looks_like(memoryview(other))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_read(raw: bytes) -> None:
    with contextlib.suppress(MalformedError):
        list(fields(memoryview(raw)))
    with contextlib.suppress(MalformedError):
        reading.read(memoryview(raw))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 255))
def test_a_changed_model_is_refused_or_read(at: int, byte: int) -> None:
    raw = bytearray(_CHANGING)
    raw[at % len(raw)] = byte
    with contextlib.suppress(RefusedError):
        reading.check(memoryview(bytes(raw)), Path("/nonexistent"))


_CHANGING = _model(
    [helper.make_node("MatMul", ["x", "w"], ["y"])],
    [helper.make_tensor_value_info("x", 1, ["n", 2])],
    [helper.make_tensor_value_info("y", 1, ["n", 2])],
    [numpy_helper.from_array(np.ones((2, 2), np.float32), "w")],
).SerializeToString()
