"""A Scan that OpenVINO would refuse answers as a Loop, as ONNX Runtime's own Scan does."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, checker, helper, load, numpy_helper, save

from torchship.targets.openvino.library import core, library
from torchship.targets.openvino.loops import without_scans


def _model(folder, *, axis=0, backwards=0, output_axis=0):
    """Sums with a weight of the graph around; the inner scan goes over each turn's row."""
    whole, row = ["rows", "length", 3] if axis == 0 else ["length", "rows", 3], ["length", 3]
    inner = helper.make_graph(
        [helper.make_node("Add", ["sum", "weight"], ["more"]), helper.make_node("Mul", ["more", "step"], ["next"]),
         helper.make_node("Identity", ["next"], ["seen"])],
        "inner", [_float("sum", [3]), _float("step", [3])], [_float("next", [3]), _float("seen", [3])],
    )  # fmt: skip
    outer = helper.make_graph(
        [helper.make_node("Scan", ["state", "slice"], ["end", "steps"], body=inner, num_scan_inputs=1)],
        "outer", [_float("state", [3]), _float("slice", row)], [_float("end", [3]), _float("steps", row)],
    )  # fmt: skip
    node = helper.make_node(
        "Scan", ["start", "x"], ["last", "all"], body=outer, num_scan_inputs=1, scan_input_axes=[axis],
        scan_input_directions=[backwards], scan_output_axes=[output_axis],
    )  # fmt: skip
    graph = helper.make_graph(
        [node], "model", [_float("start", [3]), _float("x", whole)], [_float("last", [3]), _float("all", [None] * 3)],
        [numpy_helper.from_array(np.array([0.5, -0.25, 0.125], np.float32), "weight")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    checker.check_model(model)
    save(model, folder / "model.onnx")
    return folder / "model.onnx"


def _float(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("backwards", [0, 1])
def test_scans_within_scans_answer_as_loops(tmp_path, axis, backwards):
    path = _model(tmp_path, axis=axis, backwards=backwards)
    with without_scans(path) as other:
        assert other != path
        compiled = core().compile_model(library().convert_model(other), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert not other.exists()
    session = onnxruntime.InferenceSession(path)
    for rows, length in ((2, 5), (1, 1), (4, 3)):
        shape = (rows, length, 3) if axis == 0 else (length, rows, 3)
        start, x = (np.random.default_rng(7).uniform(-1, 1, size).astype(np.float32) for size in (3, shape))
        given = {"start": start, "x": x}
        for mine, theirs in zip(compiled(given).to_tuple(), session.run(None, given), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_what_no_loop_does_is_left_as_it_is(tmp_path):
    with without_scans(_model(tmp_path, output_axis=1)) as other:
        assert [node.op_type for node in load(other).graph.node] == ["Scan"]
