"""Sources that are graphs already: exported programs, TorchScript archives, ONNX models."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from torchship.convert.capture import capture
from torchship.errors import CaptureError, RefusedError, SourceError, UsageError
from torchship.models import eager
from torchship.models.model import Model
from torchship.models.open import open_source
from torchship.models.recorder import Recorder
from torchship.models.source import parse
from torchship.signature import Constant, Dim
from torchship.targets.builder import Form

pytestmark = pytest.mark.filterwarnings("ignore")  # what torch says of its own old age


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layer = nn.Linear(4, 3)

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        return self.layer(x).relu() * scale


class Structured(nn.Module):
    def forward(self, d: dict[str, Tensor], other: Tensor, mode: str = "mean") -> dict[str, Tensor]:
        return {"sum": d["a"] + d["b"], "other": other.mean() if mode == "mean" else other.sum()}


class Steps(nn.Module):
    """Sizes from sizes, which a trace would bake in."""

    def forward(self, x: Tensor) -> Tensor:
        return x.new_zeros(x.shape[0], 2 * x.shape[1]).add(x.sum())


def program(path: Path, module: nn.Module, args: Any, kwargs: Any = None, shapes: Any = None) -> Path:
    made = torch.export.export(module.eval(), args, kwargs, dynamic_shapes=shapes)
    torch.export.save(made, path)
    return path


def archive(path: Path, made: Any) -> Path:
    torch.jit.save(made, str(path))
    return path


def graph(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], weights: Any = ()) -> Path:
    made = helper.make_graph(nodes, "g", inputs, outputs, [numpy_helper.from_array(w, n) for n, w in weights])
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def value(name: str, shape: list[Any], dtype: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, dtype, shape)


def opened(path: Path, *inputs: str, **more: Any) -> Model:
    return open_source(parse(str(path), inputs=inputs, **more))


def answers(model: Model, *inputs: Tensor) -> list[Any]:
    return eager.run(model.flat, inputs)


BATCH, TIME = torch.export.Dim("batch", min=1, max=64), torch.export.Dim("t")


def test_a_program_answers_as_what_it_was_exported_from(tmp_path: Path) -> None:
    model = opened(program(tmp_path / "p", Net(), (torch.randn(2, 4),), shapes={"x": {0: BATCH}}))
    assert model.names == ("x",)
    assert model.axes == ({0: Dim("batch", 1, 64)},)
    assert model.examples[0].shape == (2, 4)
    x = torch.randn(7, 4)
    assert np.array_equal(answers(model, x)[0], Net()(x).detach().numpy())


def test_a_program_needs_no_capture_where_its_call_is_flat(tmp_path: Path) -> None:
    model = opened(
        program(tmp_path / "p", Steps(), (torch.randn(3, 4),), shapes=({0: BATCH, 1: torch.export.Dim("t")},))
    )
    signature = Recorder(model, tmp_path).record("p").signature
    model = opened(tmp_path / "p")
    captured = capture(model, Form.EXPORTED, signature)
    assert isinstance(captured.value, torch.export.ExportedProgram)
    scripted = capture(model, Form.SCRIPTED, signature).value
    x = torch.randn(5, 7)
    assert torch.equal(scripted(x)[0], Steps()(x))


def test_a_program_keeps_its_structure_and_its_keywords(tmp_path: Path) -> None:
    d = {"a": torch.randn(2), "b": torch.randn(2)}
    path = program(tmp_path / "p", Structured(), (d,), {"other": torch.randn(3), "mode": "sum"})
    model = opened(path)
    assert model.names == ("d.a", "d.b", "other")
    assert [each.name for each in model.parameters] == ["d", "other", "mode"]
    assert model.parameters[2].tree == Constant("sum")
    reference = Recorder(model, tmp_path).record("p")
    assert [spec.name for spec in reference.signature.outputs] == ["sum", "other"]
    assert reference.closed == {
        "scripted": "torch.jit.script has no source of a program that takes or gives more than tensors one by one"
    }
    one, other, third = torch.randn(2), torch.randn(2), torch.randn(3)
    found = answers(opened(path), one, other, third)
    assert np.array_equal(found[0], (one + other).numpy())
    assert np.array_equal(found[1], third.sum().numpy())


def test_sizes_that_follow_from_others_stay_as_they_are(tmp_path: Path) -> None:
    class Shifted(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y[1:]

    n = torch.export.Dim("n", min=2)
    model = opened(program(tmp_path / "p", Shifted(), (torch.randn(5), torch.randn(6)), shapes=({0: n}, {0: n + 1})))
    assert not any(model.axes)
    assert model.notes[0].startswith("sizes that depend on each other are kept: ")


def test_a_program_without_its_example_gets_one_of_its_own_sizes(tmp_path: Path) -> None:
    made = torch.export.export(Net().eval(), (torch.randn(2, 4),), dynamic_shapes={"x": {0: BATCH}})
    made.example_inputs = None
    torch.export.save(made, tmp_path / "p")
    model = opened(tmp_path / "p")
    assert model.examples[0].shape[1] == 4
    assert answers(model, torch.ones(3, 4))[0].shape == (3, 3)


def test_a_program_knows_better(tmp_path: Path) -> None:
    path = program(tmp_path / "p", nn.Linear(4, 3), (torch.randn(2, 4),))
    with pytest.raises(UsageError, match="knows its inputs"):
        opened(path, "input:float32[2,4]")
    (tmp_path / "net.py").write_text("net = None")
    with pytest.raises(UsageError, match="brings its own graph"):
        opened(path, model=f"{tmp_path / 'net.py'}:net")


def test_an_archive_is_called_as_its_schema_says(tmp_path: Path) -> None:
    path = archive(tmp_path / "s", torch.jit.script(Net().eval()))
    model = opened(path, "x:float32[batch,4]")
    assert [each.name for each in model.parameters] == ["x", "scale"]
    assert model.parameters[1].tree == Constant(1.0)
    x = torch.randn(5, 4)
    assert np.array_equal(answers(model, x)[0], Net()(x).detach().numpy())
    signature = Recorder(model, tmp_path).record("s").signature
    assert signature.inputs[0].shape == ("batch", 4)
    for form in (Form.SCRIPTED, Form.TRACED):
        made = capture(opened(path, "x:float32[batch,4]"), form, signature).value
        found = made(x)
        assert torch.allclose(found[0] if isinstance(found, tuple) else found, Net()(x))


def test_an_archive_without_an_example_shows_its_forward(tmp_path: Path) -> None:
    path = archive(tmp_path / "s", torch.jit.script(Net().eval()))
    with pytest.raises(UsageError, match=r"without example inputs: forward\(x: Tensor, scale: float = 1\.0\)"):
        opened(path)
    with pytest.raises(UsageError, match="missing a required argument: 'x'"):
        opened(path, "y:float32[2,4]")


def test_a_trace_brings_the_sizes_of_its_example(tmp_path: Path) -> None:
    path = archive(tmp_path / "t", torch.jit.trace(nn.Linear(4, 3).eval(), torch.randn(2, 4)))
    model = opened(path)
    assert model.examples[0].shape == (2, 4)
    reference = Recorder(model, tmp_path).record("t")
    assert reference.signature.inputs[0].shape == ("batch", 4)
    assert reference.closed == {"exported": "torch.export reads Python, and a TorchScript archive has none"}
    with pytest.raises(CaptureError, match=r"no route by way of exported: torch\.export reads Python"):
        capture(opened(path), Form.EXPORTED, reference.signature)


def test_an_archive_that_torch_can_not_open(tmp_path: Path) -> None:
    class OfALibrary(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.ops.aten.relu(x)

    from formats.harmful import edited

    sound = archive(tmp_path / "s", torch.jit.script(OfALibrary().eval()))
    broken = edited(sound, tmp_path / "b", lambda _, raw: raw.replace(b"torch.relu(x)", b"torch.rely(x)"))
    with pytest.raises(SourceError, match="can't open"):
        opened(broken, "x:float32[2]")


def test_an_onnx_model_answers_by_its_own_runtime(tmp_path: Path) -> None:
    weight = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    nodes = [helper.make_node("MatMul", ["in.put", "w"], ["scores"])]
    path = graph(tmp_path / "m", nodes, [value("in.put", ["N", 4])], [value("scores", ["N", 3])], [("w", weight)])
    model = opened(path)
    assert model.names == ("in.put",)
    assert model.axes == ({0: Dim("N")},)
    x = torch.randn(5, 4)
    assert np.allclose(answers(model, x)[0], x.numpy() @ weight, rtol=1e-5)
    reference = Recorder(model, tmp_path).record("m")
    assert [spec.name for spec in reference.signature.outputs] == ["scores"]
    assert reference.signature.outputs[0].shape == ("N", 3)
    assert reference.native == ("onnx",)
    assert set(reference.closed) == {"exported", "scripted", "traced"}
    assert capture(opened(path), Form.ONNX, reference.signature).value == path.resolve()


def test_a_size_that_only_claims_to_be_open_is_kept(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["x", "s"], ["y"])]
    size = np.array([2, 4])
    path = graph(tmp_path / "m", nodes, [value("x", ["N", 4])], [value("y", ["N", 4])], [("s", size)])
    model = opened(path)
    assert model.axes == ({},)
    assert model.notes[1] == "the graph calls these sizes open, and answers at no other than the example's: N"


def test_the_rounding_of_weights_shows_where_inputs_have_none(tmp_path: Path) -> None:
    """Tokens can't be nudged: the graph's own weights are."""
    table = np.random.default_rng(0).normal(size=(8, 16)).astype(np.float32)
    nodes = [helper.make_node("Gather", ["w", "t"], ["e"]), helper.make_node("ReduceSum", ["e"], ["y"], keepdims=0)]
    path = graph(tmp_path / "m", nodes, [value("t", ["n"], TensorProto.INT64)], [value("y", [])], [("w", table)])
    reference = Recorder(opened(path), tmp_path).record("m")
    assert "the model doesn't run in float64: its noise was measured by nudging inputs and weights" in reference.notes
    sample = reference.samples[0]
    exact, plain = (np.load(tmp_path / str(file))["0"] for file in (sample.exact, sample.eager))
    assert 0 < abs(float(exact - plain)) < 1e-4 * abs(float(plain)) + 1e-4


def test_weights_beside_the_model_count_to_what_it_is(tmp_path: Path) -> None:
    weight = np.ones((4, 3), np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    path = graph(tmp_path / "m.onnx", nodes, [value("x", ["N", 4])], [value("y", ["N", 3])], [("w", weight)])
    made = onnx.load(path)
    onnx.save(made, path, save_as_external_data=True, location="w.data", size_threshold=0)
    first = Recorder(opened(path), tmp_path).record("m").origin.weights_sha256
    (tmp_path / "w.data").write_bytes((2 * weight).tobytes())
    assert Recorder(opened(path), tmp_path).record("m").origin.weights_sha256 != first
    (tmp_path / "w.data").unlink()
    with pytest.raises(RefusedError, match="which is not there"):
        opened(path)


Break = Callable[[Any], None]


@pytest.mark.parametrize(
    ("nodes", "inputs", "why"),
    [
        ([helper.make_node("NoSuchOperator", ["x"], ["y"])], [value("x", ["N"])], "ONNX Runtime can't open"),
        ([helper.make_node("Relu", ["x"], ["y"])], [value("x", ["N"], TensorProto.BFLOAT16)], "of bfloat16"),
        ([helper.make_node("Constant", [], ["y"], value_float=1.0)], [], "takes no inputs"),
    ],
)
def test_models_that_can_not_be_run(nodes: list[Any], inputs: list[Any], why: str, tmp_path: Path) -> None:
    path = graph(tmp_path / "m", nodes, inputs, [value("y", ["N"])])
    with pytest.raises(SourceError, match=why):
        opened(path)


def test_a_model_that_refuses_every_drawn_input_asks_for_an_example(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["x", "s"], ["y"])]
    path = graph(tmp_path / "m", nodes, [value("x", ["N", 4])], [value("y", ["N", 4])], [("s", np.array([7, 4]))])
    with pytest.raises(SourceError, match="refuses every input that was drawn") as error:
        opened(path)
    assert error.value.hint == "--example FILE.npz gives inputs that it takes"
    np.savez(tmp_path / "x.npz", x=np.ones((7, 4), np.float32))
    assert answers(opened(path, example=str(tmp_path / "x.npz")), torch.ones(7, 4))[0].shape == (7, 4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["program.pt2", "script.pt", "model.onnx"])
def test_the_whole_way(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    from torchship.cli.main import main

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        makers: dict[str, Callable[[Path], Path]] = {
            "program.pt2": lambda path: program(path, nn.Linear(4, 3), (torch.randn(2, 4),), shapes=({0: BATCH},)),
            "script.pt": lambda path: archive(path, torch.jit.trace(nn.Linear(4, 3).eval(), torch.randn(2, 4))),
            "model.onnx": lambda path: graph(
                path, [helper.make_node("MatMul", ["x", "w"], ["y"])], [value("x", ["N", 4])], [value("y", ["N", 3])],
                [("w", np.ones((4, 3), np.float32))],
            ),
        }  # fmt: skip
        path = makers[kind](tmp_path / kind)
    right = {
        "program.pt2": {"onnx": "export", "torchscript": "script", "exported": "export"},
        "script.pt": {"onnx": "script", "torchscript": "script", "exported": "script"},
        "model.onnx": {"onnx": "file"},
    }[kind]
    words = ["ship", str(path), "-o", str(tmp_path / "out"), "--targets", "onnx torchscript exported", "--json"]
    assert main(words) == 0
    rows = json.loads(capsys.readouterr().out)["artifacts"]
    assert {row["name"]: row["route"] for row in rows if row["status"] == "ok"} == right
    for row in rows:
        if row["status"] == "failed":
            assert row["reason"].startswith(f"from this source there is no route to {row['name']}: ")
