"""The run sides: they answer what numpy and torch say, whatever the batch, and keep to their settings."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from small_bundle import SIGNATURE, WEIGHTS, artifact, images, save, scores, write_onnx
from torchship.bundle.artifact import Adapter, Settings
from torchship.errors import UnavailableError, UnsafeError, UsageError
from torchship.signature import Constant, Dim, Signature, TensorSpec
from torchship.targets import Needs, known, runner_of
from torchship.targets.adapter import open_session
from torchship.targets.onnx.bfloat16 import rounded, widened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_onnx(tmp_path / "model.onnx")
    return tmp_path


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(threads=2),
        Settings(threads=0),
        Settings(1, {"graph_optimization": "disabled"}),
        Settings(1, {"graph_optimization": "basic", "spinning": True, "arena": False}),
    ],
)
def test_onnx_answers_the_same_under_all_settings(folder: Path, settings: Settings) -> None:
    session = open_session(artifact(), folder, SIGNATURE, settings)
    for count in (1, 2, 7):
        assert session.run([images(count)])[0].tolist() == scores(images(count)).tolist()


def test_onnx_refuses_options_that_it_does_not_know(folder: Path) -> None:
    with pytest.raises(UsageError, match="no option 'fast' here") as caught:
        open_session(artifact(), folder, SIGNATURE, Settings(1, {"fast": True}))
    assert caught.value.hint == "known: arena, graph_optimization, spinning"
    with pytest.raises(UsageError, match="graph_optimization is 'much'"):
        open_session(artifact(), folder, SIGNATURE, Settings(1, {"graph_optimization": "much"}))


def test_onnx_leaves_out_an_input_that_the_graph_dropped(tmp_path: Path) -> None:
    write_onnx(tmp_path / "model.onnx")
    unused = TensorSpec("unused", "float32", ("batch",))
    signature = Signature((unused, *SIGNATURE.inputs), SIGNATURE.outputs, SIGNATURE.dims, (), Constant(None))
    session = open_session(artifact(inputs=("", "image")), tmp_path, signature)
    assert session.run([np.zeros(2, np.float32), images(2)])[0].tolist() == scores(images(2)).tolist()


def test_bfloat16_travels_as_float32(tmp_path: Path) -> None:
    kind = ("float32", ("n",))
    nodes = [helper.make_node("Neg", ["wide"], ["less"])]
    save(tmp_path / "model.onnx", nodes, {"wide": kind}, {"less": kind})
    import onnx

    model = onnx.load(tmp_path / "model.onnx")
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.BFLOAT16
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.BFLOAT16
    del model.graph.node[:]
    model.graph.node.extend(
        [
            helper.make_node("Cast", ["wide"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("Neg", ["float"], ["negative"]),
            helper.make_node("Cast", ["negative"], ["less"], to=TensorProto.BFLOAT16),
        ]
    )
    onnx.save(model, tmp_path / "model.onnx")
    spec = TensorSpec("wide", "bfloat16", ("n",))
    signature = Signature((spec,), (TensorSpec("less", "bfloat16", ("n",)),), (Dim("n"),), (), Constant(None))
    session = open_session(artifact(inputs=("wide",), outputs=("less",)), tmp_path, signature)
    x = np.array([1.0, -2.5, 0.1, np.inf, np.nan, 1e38, 3e-39], np.float32)
    (answer,) = session.run([x])
    expected = -torch.from_numpy(x).bfloat16().float().numpy()
    assert answer.dtype == np.float32
    np.testing.assert_array_equal(answer, expected)
    assert session.run([np.zeros(0, np.float32)])[0].shape == (0,)


def test_rounding_to_bfloat16_is_torchs() -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, 20_000, np.uint32)
    numbers = bits.view(np.float32)
    theirs = torch.from_numpy(numbers.copy()).bfloat16().float().numpy()
    np.testing.assert_array_equal(widened(rounded(numbers)), theirs)


class _Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weights", torch.from_numpy(WEIGHTS))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return image.flatten(1).to(torch.float32) @ self.weights, self.weights


_TWO = Signature(
    SIGNATURE.inputs,
    (*SIGNATURE.outputs, TensorSpec("constant", "float32", (24, 3))),
    SIGNATURE.dims,
    (),
    Constant(None),
)


@pytest.fixture(scope="module")
def torch_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("torch")
    net = _Net().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.freeze(torch.jit.script(net)), str(folder / "model.pt"))
        example = torch.zeros(2, 1, 4, 6, dtype=torch.uint8)
        program = torch.export.export(net, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        torch.export.save(program, str(folder / "model.pt2"))
    return folder


@pytest.mark.parametrize(
    ("target", "main", "options"),
    [
        ("torchscript", "model.pt", {}),
        ("torchscript", "model.pt", {"optimize_for_inference": True}),
        ("exported", "model.pt2", {}),
    ],
)
def test_torchs_own_formats_answer(torch_folder: Path, target: str, main: str, options: dict[str, Any]) -> None:
    """Without a warning, from several threads, with constants that the caller can't harm."""
    given = artifact(target=target, main=main, outputs=("scores", "constant"), settings=Settings(1, options))
    session = open_session(given, torch_folder, _TWO)
    read_only = images(3)
    read_only.flags.writeable = False
    for count in (1, 3, 2):
        got, constant = session.run([read_only[:count]])
        assert got.tolist() == scores(read_only[:count]).tolist()
        constant += 1
    assert session.run([read_only])[1].tolist() == WEIGHTS.tolist()
    right: list[bool] = []
    threads = [
        threading.Thread(
            target=lambda: right.append(session.run([images(4)])[0].tolist() == scores(images(4)).tolist())
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 4
    session.close()


def test_torchs_formats_are_looked_into_before_they_are_opened(torch_folder: Path, tmp_path: Path) -> None:
    torch.save({"w": torch.ones(1)}, tmp_path / "model.pt")
    for target in ("torchscript", "exported"):
        with pytest.raises(UnsafeError, match=f"is not a .* file but|{target}"):
            open_session(artifact(target=target, main="model.pt"), tmp_path, SIGNATURE)


def test_a_torchscript_that_makes_files_is_refused_and_makes_none(tmp_path: Path) -> None:
    class Evil(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.from_file("made-by-the-model", True, 8)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Evil()), str(tmp_path / "model.pt"))
    with pytest.raises(UnsafeError, match="from_file"):
        open_session(artifact(target="torchscript", main="model.pt"), tmp_path, SIGNATURE)
    assert not Path("made-by-the-model").exists()


def test_bfloat16_inputs_of_torchscript(tmp_path: Path) -> None:
    class Net(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * torch.tensor(3.0, dtype=torch.bfloat16)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Net()), str(tmp_path / "model.pt"))
    given = artifact(target="torchscript", main="model.pt", inputs=("x",), adapter=Adapter(casts={"x": "bfloat16"}))
    spec = TensorSpec("x", "bfloat16", (2,))
    signature = Signature((spec,), (TensorSpec("y", "bfloat16", (2,)),), (), (), Constant(None))
    (answer,) = open_session(given, tmp_path, signature).run([np.array([1.01, 2.0], np.float32)])
    assert answer.tolist() == (torch.tensor([1.01, 2.0]).bfloat16() * 3).float().tolist()


def test_a_missing_package_is_told_with_the_line_that_brings_it() -> None:
    needs = Needs(("numpy", "no_such_module", "no.such.parent"), "build")
    assert needs.missing == ("no_such_module", "no.such.parent")
    with pytest.raises(UnavailableError, match=r"this needs no_such_module, no\.such\.parent, not") as caught:
        needs.check("this")
    assert caught.value.hint == "pip install 'torchship[build]'"
    Needs(("numpy",)).check("that")


def test_targets_are_found_by_their_folders() -> None:
    assert {"onnx", "torchscript", "exported"} <= set(known())
    assert list(known()) == sorted(known())
    with pytest.raises(UsageError, match=r"unknown target 'nothing'") as caught:
        runner_of("nothing")
    assert "onnx" in (caught.value.hint or "")
