"""Each pass on a small net: what it gives, how small, how near, and what it leaves alone when it is told to."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from torchship.bundle.artifact import Artifact, Settings, Variant
from torchship.errors import ConversionError
from torchship.signature import Dim, Parameter, Signature, TensorSpec
from torchship.signature.tree import Leaf
from torchship.targets import builder_of
from torchship.targets.adapter import open_session
from torchship.targets.builder import Captured, Form
from torchship.targets.passes import Calibration, Layered, Work, every_pass, pass_names, pass_of

torch.manual_seed(3)
NET = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 24, 3), nn.ReLU(),
    nn.Flatten(), nn.Linear(24 * 16, 64), nn.ReLU(), nn.Linear(64, 5),
).eval()  # fmt: skip
X = torch.randn(4, 1, 12, 12)
SIGNATURE = Signature(
    inputs=(TensorSpec("input", "float32", ("n", 1, 12, 12)),),
    outputs=(TensorSpec("output", "float32", ("n", 5)),),
    dims=(Dim("n", min=1, max=64),),
    call=(Parameter("input", Leaf(0), "positional"),),
    result=Leaf(0),
)


@pytest.fixture(scope="module", params=["onnx", "openvino"])
def work(request, tmp_path_factory) -> Work:
    folder = tmp_path_factory.mktemp(request.param)
    program = torch.export.export(NET, (X,), dynamic_shapes=({0: torch.export.Dim("n", min=1, max=64)},))
    builder = builder_of(request.param)
    captured = Captured(Form.EXPORTED, program, (X,), SIGNATURE)
    artifact = builder.convert(captured, builder.routes[0], Variant(), folder)
    rows = np.random.default_rng(1).normal(size=(12, 8, 1, 12, 12)).astype(np.float32)
    np.savez(folder.parent / f"{request.param}.npz", **{f"{at}.0": row for at, row in enumerate(rows)})
    return Work(artifact, folder, Calibration(folder.parent / f"{request.param}.npz"))


@pytest.fixture(scope="module")
def eager():
    with torch.no_grad():
        return NET(X).numpy()


def _answer(artifact: Artifact, folder) -> np.ndarray:
    session = open_session(artifact, folder, SIGNATURE, Settings(1, artifact.settings.options))
    try:
        return session.run([X.numpy()])[0]
    finally:
        session.close()


def _bytes(folder) -> int:
    return max(each.stat().st_size for each in folder.iterdir())  # weights: OpenVINO's graph is a file of its own


@pytest.mark.parametrize(
    ("name", "share", "off"),
    [("fp16", 0.6, 2e-3), ("int8-weights", 0.45, 2e-2), ("int8", 0.6, 8e-2), ("int8-dynamic", 0.5, 8e-2)],
)
def test_a_pass_makes_it_smaller_and_stays_near(work, eager, tmp_path, name, share, off):
    if name not in pass_names(work.source.target):
        assert (work.source.target, name) == ("openvino", "int8-dynamic")
        return
    made = pass_of(work.source.target, name).apply(work, Variant(name), tmp_path)
    assert made.name == f"{work.source.target}-{name}"
    assert made.variant.label == name
    assert _bytes(tmp_path) <= share * _bytes(work.folder)
    apart = np.abs(_answer(made, tmp_path) - eager).max() / np.abs(eager).max()
    assert 0 < apart < off


def test_layers_that_are_kept_stay_in_float(work, eager, tmp_path, monkeypatch):
    monkeypatch.setattr("torchship.targets.onnx.passes.int8._is_quicker", lambda *_: True)
    made = pass_of(work.source.target, "int8")
    assert isinstance(made, Layered)
    layers = made.sensitive(work, 60.0)
    assert len(layers) == 4
    some = Work(work.source, work.folder, work.calibration, layers[:3])
    nearer = np.abs(_answer(made.apply(some, Variant("int8"), tmp_path), tmp_path) - eager).max()
    (tmp_path / "all").mkdir()
    whole = made.apply(work, Variant("int8"), tmp_path / "all")
    assert nearer < np.abs(_answer(whole, tmp_path / "all") - eager).max()
    every = Work(work.source, work.folder, work.calibration, layers)
    with pytest.raises(ConversionError, match="no layer is left"):
        made.apply(every, Variant("int8"), tmp_path)


def test_where_int8_is_no_quicker_weights_alone_are_kept_in_it(work, eager, tmp_path, monkeypatch):
    if work.source.target != "onnx":
        return
    monkeypatch.setattr("torchship.targets.onnx.passes.int8._is_quicker", lambda *_: False)
    made = pass_of("onnx", "int8").apply(work, Variant("int8"), tmp_path)
    assert "int8 weights alone" in made.variant.how
    assert not any(node.op_type == "QuantizeLinear" for node in onnx.load(tmp_path / "model.onnx").graph.node)
    assert np.abs(_answer(made, tmp_path) - eager).max() < 0.02 * np.abs(eager).max()


def test_without_typical_inputs_static_quantisation_says_what_it_needs(work, tmp_path):
    with pytest.raises(ConversionError, match="needs typical inputs") as caught:
        pass_of(work.source.target, "int8").apply(Work(work.source, work.folder), Variant("int8"), tmp_path)
    assert "--calibration" in str(caught.value.hint)


def test_a_model_without_weights_has_nothing_to_quantise(tmp_path):
    node = onnx.helper.make_node("Relu", ["x"], ["y"], name="relu")
    info = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [4]) for name in "xy"]
    onnx.save(
        onnx.helper.make_model(onnx.helper.make_graph([node], "g", info[:1], info[1:]), ir_version=10),
        tmp_path / "m.onnx",
    )
    np.savez(tmp_path / "rows.npz", **{"0.0": np.ones(4, np.float32)})
    source = Artifact("onnx", "onnx", "file", "m.onnx", ("x",), ("y",))
    given = Work(source, tmp_path, Calibration(tmp_path / "rows.npz"))
    for name, told in (
        ("int8", "nothing to quantise"),
        ("int8-dynamic", "nothing to quantise"),
        ("fp16", "no float32 w"),
    ):
        with pytest.raises(ConversionError, match=told):
            pass_of("onnx", name).apply(given, Variant(name), tmp_path)


def test_passes_are_found_by_their_files():
    assert {"int8", "int8-dynamic", "int8-weights", "fp16"} <= set(pass_names("onnx"))
    assert "bf16" in pass_names("openvino")
    assert pass_names("exported") == ()
    assert set(every_pass()) >= {"bf16", "fp16", "int8", "int8-dynamic", "int8-weights"}
