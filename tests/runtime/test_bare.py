"""A bare ``.onnx`` file in a bundle's place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from small_bundle import images, save, scores, write_onnx
from torchship import load
from torchship.errors import InputError, MalformedError, UnavailableError, UnsafeError, UsageError


def test_its_own_description_is_its_signature(tmp_path: Path) -> None:
    write_onnx(tmp_path / "weights.bin")  # by content, not by name
    model = load(tmp_path / "weights.bin")
    assert model(images(3)).tolist() == scores(images(3)).tolist()
    assert [(s.name, s.dtype, s.shape) for s in model.signature.inputs] == [("image", "uint8", ("batch", 1, 4, 6))]
    assert model.artifact.name == "onnx"
    assert model.labels == ()
    assert "nothing was proven of it" in model.notes[0]
    with pytest.raises(InputError, match="axis 3 is 5 instead of 6"):
        model(images(1)[..., :5])


def test_several_outputs_are_a_tuple_and_constants_are_no_inputs(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "one"], ["more"]), helper.make_node("Sub", ["x", "one"], ["less"])]
    kind = ("float32", ("n",))
    save(
        tmp_path / "m",
        nodes,
        {"x": kind, "one": ("float32", (1,))},
        {"more": kind, "less": kind},
        {"one": np.ones(1, np.float32)},
    )
    more, less = load(tmp_path / "m")(np.zeros(2, np.float32))
    assert (more.tolist(), less.tolist()) == ([1, 1], [-1, -1])


def test_only_its_own_name_may_be_asked_for(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m")
    assert load(tmp_path / "m", artifact="onnx").artifact.target == "onnx"
    with pytest.raises(UsageError, match="a bare ONNX file, it has no artifact for torchscript"):
        load(tmp_path / "m", target="torchscript")
    with pytest.raises(UnavailableError, match="can't check signatures"):
        load(tmp_path / "m", trusted_keys=["k"])


def _external(path: Path, location: str, **more: str) -> None:
    write_onnx(path)
    model = onnx.load(path, load_external_data=False)
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        weights.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())


def test_data_beside_it_is_read(tmp_path: Path) -> None:
    from small_bundle import WEIGHTS

    _external(tmp_path / "m.onnx", "weights.bin")
    (tmp_path / "weights.bin").write_bytes(WEIGHTS.tobytes())
    assert load(tmp_path / "m.onnx")(images(2)).tolist() == scores(images(2)).tolist()


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("/etc/passwd", "leaves the model's folder"),
        ("../outside.bin", "leaves the model's folder"),
        ("a/../../outside.bin", "leaves the model's folder"),
        ("link.bin", "is a link"),
        ("folder/inner.bin", "is a link"),
        ("pipe", "not there, or no plain file"),
        ("missing.bin", "not there, or no plain file"),
        ("C:\\x", "no plain path"),
        ("", "no plain path"),
    ],
)
def test_data_elsewhere_is_refused(tmp_path: Path, location: str, why: str) -> None:
    import os

    inner = tmp_path / "in"
    inner.mkdir()
    (tmp_path / "outside.bin").write_bytes(bytes(288))
    (inner / "link.bin").symlink_to(tmp_path / "outside.bin")
    (inner / "folder").symlink_to(tmp_path)
    os.mkfifo(inner / "pipe")
    _external(inner / "m.onnx", location)
    with pytest.raises(UnsafeError, match=why):
        load(inner / "m.onnx")


def test_data_beyond_its_files_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(100))
    _external(tmp_path / "m.onnx", "weights.bin", offset="0", length="288")
    with pytest.raises(UnsafeError, match="beyond its end"):
        load(tmp_path / "m.onnx")
    _external(tmp_path / "n.onnx", "weights.bin", offset="-5", length="8")
    with pytest.raises(MalformedError, match="a negative place"):
        load(tmp_path / "n.onnx")


def test_foreign_operators_are_refused(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Evil", ["x"], ["y"], domain="com.evil")], "g",
        [helper.make_tensor_value_info("x", 1, ["n"])], [helper.make_tensor_value_info("y", 1, ["n"])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("com.evil", 1)])
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(UnsafeError, match=r"needs the operators of 'com\.evil'"):
        load(tmp_path / "m.onnx")


def test_what_the_runtime_can_not_open_is_malformed(tmp_path: Path) -> None:
    kind = ("float32", ("n",))
    save(tmp_path / "m.onnx", [helper.make_node("NoSuchOperator", ["x"], ["y"])], {"x": kind}, {"y": kind})
    with pytest.raises(MalformedError, match="ONNX Runtime can't open the model"):
        load(tmp_path / "m.onnx")


def test_a_cut_file_is_no_model(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m.onnx")
    (tmp_path / "m.onnx").write_bytes((tmp_path / "m.onnx").read_bytes()[:-20])
    with pytest.raises(UsageError, match="is not a bundle"):
        load(tmp_path / "m.onnx")
