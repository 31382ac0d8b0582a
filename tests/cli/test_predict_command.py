"""``torchship predict``."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cli.asking import Ask, Tell
from small_bundle import LABELS, images, make_bundle, scores, write_onnx


def _label(image: np.ndarray[Any, Any]) -> list[str]:
    return [LABELS[place] for place in scores(image).argmax(axis=1)]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """One image as a picture and in every form of arrays."""
    image = images(1, seed=5)
    folder = tmp_path / "inputs"
    folder.mkdir()
    Image.fromarray(image[0, 0]).save(folder / "picture.png")
    np.save(folder / "array.npy", image)
    np.savez(folder / "arrays.npz", image=image)
    (folder / "named.json").write_text(json.dumps({"inputs": {"image": image.tolist()}}))
    (folder / "lists.json").write_text(json.dumps(image.tolist()))
    return folder


@pytest.mark.parametrize("name", ["picture.png", "array.npy", "arrays.npz", "named.json", "lists.json"])
def test_each_kind_of_file(pristine: Path, files: Path, name: str, ask: Ask) -> None:
    status, answer = ask("predict", pristine, files / name)
    assert status == 0
    image = images(1, seed=5)
    assert answer == {"outputs": {"scores": scores(image).tolist()}, "label": _label(image)[0], "artifact": "onnx"}


def test_a_batch_in_one_file_gives_a_list_of_labels(pristine: Path, tmp_path: Path, ask: Ask) -> None:
    np.save(tmp_path / "x.npy", images(4))
    status, answer = ask("predict", pristine, tmp_path / "x.npy")
    assert status == 0
    assert answer["label"] == _label(images(4))


def test_stdin_is_told_by_its_content(pristine: Path, files: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("picture.png", "array.npy", "arrays.npz", "named.json"):
        stdin = io.TextIOWrapper(io.BytesIO((files / name).read_bytes()))
        monkeypatch.setattr(sys, "stdin", stdin)
        status, answer = ask("predict", pristine, "-")
        assert (status, answer["label"]) == (0, _label(images(1, seed=5))[0])


def test_several_files_and_folders(pristine: Path, files: Path, tmp_path: Path, ask: Ask) -> None:
    np.save(tmp_path / "other.npy", images(2, seed=6))
    status, answer = ask("predict", pristine, tmp_path / "other.npy", files)
    assert status == 0
    assert answer["artifact"] == "onnx"
    names = [result["input"] for result in answer["results"]]
    in_folder = ["array.npy", "arrays.npz", "lists.json", "named.json", "picture.png"]
    assert names == [str(tmp_path / "other.npy"), *(str(files / name) for name in in_folder)]
    assert answer["results"][0]["outputs"]["scores"] == scores(images(2, seed=6)).tolist()
    assert {result["label"] for result in answer["results"][1:]} == {_label(images(1, seed=5))[0]}


def test_one_bad_file_of_several_is_told_and_the_rest_answered(
    pristine: Path, files: Path, tell: Tell, ask: Ask
) -> None:
    Image.new("L", (28, 28)).save(files / "large.png")
    (files / "nan.json").write_text("[NaN]")
    status, answer = ask("predict", pristine, files)
    assert status == 3
    told = {Path(result["input"]).name: result.get("error") for result in answer["results"]}
    assert str(told.pop("large.png")).endswith("is 28x28 pixels, the model takes 6x4")
    assert "neither an array, a picture nor JSON" in str(told.pop("nan.json"))
    assert set(told.values()) == {None}
    status, out, err = tell("predict", pristine, files)
    assert status == 3
    assert out.count(_label(images(1, seed=5))[0]) == 5
    assert "2 of 7 inputs could not be answered" in err
    assert "scale it to 6x4 first" in err


def test_words_for_a_person(pristine: Path, files: Path, tmp_path: Path, tell: Tell) -> None:
    label = _label(images(1, seed=5))[0]
    assert tell("predict", pristine, files / "array.npy") == (0, f"{files / 'array.npy'}: {label}\n", "")
    nameless = make_bundle(tmp_path / "nameless", labels=())
    status, out, _ = tell("predict", nameless, files / "array.npy")
    assert status == 0
    assert out.splitlines()[1].startswith("  scores [1, 3]: ")


def test_out_writes_a_file(pristine: Path, files: Path, tmp_path: Path, ask: Ask, tell: Tell) -> None:
    out = tmp_path / "answer.json"
    assert ask("predict", pristine, files / "array.npy", "--out", out) == (0, {"out": str(out), "artifact": "onnx"})
    assert json.loads(out.read_text())["outputs"]["scores"] == scores(images(1, seed=5)).tolist()
    assert tell("predict", pristine, files / "array.npy", "--out", tmp_path / "none" / "x")[0] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answer.json", "inputs"]


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (["missing.npy"], 2, "there is no file missing.npy"),
        ([], 2, "INPUT"),
        (["array.npy", "--artifact", "other"], 2, "no artifact for other"),
        (["array.npy", "--key", "a.pub"], 1, "can't check signatures"),
        (["empty.npy"], 3, "batch (axis 0) is 0, allowed is 1 to 64"),
        (["float.npy"], 3, "input image is float64, the model takes uint8"),
        (["objects.npy"], 3, "holds Python objects"),
        (["big.png"], 3, "is 9x9 pixels, the model takes 6x4"),
        (["text.txt"], 3, "neither an array, a picture nor JSON"),
        (["none"], 2, "holds nothing to answer"),
    ],
)
def test_bad_inputs(
    pristine: Path, tmp_path: Path, words: list[str], status: int, why: str, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("array.npy", images(1))
    np.save("empty.npy", images(0))
    np.save("float.npy", images(1).astype(float))
    np.save("objects.npy", np.array([{}], object), allow_pickle=True)
    Image.new("L", (9, 9)).save("big.png")
    Path("text.txt").write_text("hello")
    Path("none").mkdir()
    got, answer = ask("predict", pristine, *words)
    assert got == status
    assert why in answer["error"]


def test_nan_is_refused(tmp_path: Path, ask: Ask) -> None:
    from onnx import helper

    from small_bundle import save

    kind = ("float32", ("n",))
    save(tmp_path / "m.onnx", [helper.make_node("Neg", ["x"], ["y"])], {"x": kind}, {"y": kind})
    np.save(tmp_path / "x.npy", np.array([1.0, np.nan], np.float32))
    status, answer = ask("predict", tmp_path / "m.onnx", tmp_path / "x.npy")
    assert (status, answer["error"]) == (3, "input x holds NaN, first at [1]")
    np.save(tmp_path / "x.npy", np.array([1.0, np.inf], np.float32))
    assert ask("predict", tmp_path / "m.onnx", tmp_path / "x.npy")[0] == 0


def test_a_tampered_bundle_is_refused(pristine: Path, tmp_path: Path, files: Path, ask: Ask) -> None:
    bundle = Path(shutil.copytree(pristine, tmp_path / "net"))
    (bundle / "artifacts" / "onnx" / "model.onnx").write_bytes(b"other")
    status, answer = ask("predict", bundle, files / "array.npy")
    assert status == 3
    assert answer["error"] == "artifacts/onnx/model.onnx has 5 bytes instead of " + str(
        (pristine / "artifacts/onnx/model.onnx").stat().st_size
    )


def test_a_bare_onnx_file_and_an_archive(pristine: Path, tmp_path: Path, files: Path, ask: Ask, tell: Tell) -> None:
    write_onnx(tmp_path / "bare")
    status, answer = ask("predict", tmp_path / "bare", files / "picture.png")
    assert (status, answer["outputs"]["scores"], answer["label"]) == (0, scores(images(1, seed=5)).tolist(), None)
    assert "nothing was proven of it" in tell("predict", tmp_path / "bare", files / "picture.png")[2]
    archive = make_bundle(tmp_path / "net.ship")
    assert ask("predict", archive, files / "picture.png")[1]["label"] == _label(images(1, seed=5))[0]


def test_a_picture_for_a_bare_torchscript_file(tmp_path: Path, files: Path, ask: Ask) -> None:
    import torch

    class Net(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image.flatten(1).float().sum(1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Net().eval()), str(tmp_path / "net"))
    status, answer = ask("predict", tmp_path / "net", files / "picture.png")
    assert (status, answer["outputs"]) == (0, {"output": [float(images(1, seed=5).sum())]})


@pytest.fixture(scope="module")
def torchscript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    class Net(torch.nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return a + b, a * b

    path = tmp_path_factory.mktemp("torchscript") / "net"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Net().eval()), str(path))
    return path


def test_a_bare_torchscript_file_runs_in_its_own_process(
    torchscript: Path, tmp_path: Path, ask: Ask, tell: Tell
) -> None:
    (tmp_path / "x.json").write_text('{"a": [1, 2.5], "b": [3, 4.5]}')
    (tmp_path / "y.json").write_text('{"a": [1.5], "b": [2.0]}')
    status, answer = ask("predict", torchscript, tmp_path / "x.json", tmp_path / "y.json")
    assert status == 0
    assert [result["outputs"] for result in answer["results"]] == [
        {"output_0": [4.0, 7.0], "output_1": [3.0, 11.25]},
        {"output_0": [3.5], "output_1": [3.0]},
    ]
    assert answer["artifact"] == "torchscript"
    (tmp_path / "z.json").write_text('{"a": [1, 2.5]}')
    status, out, err = tell("predict", torchscript, tmp_path / "z.json")
    assert (status, out) == (3, "")
    assert "holds a, the model takes a, b" in err


def test_a_torchscript_file_that_touches_files_is_refused(
    tmp_path: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    class Evil(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.from_file("made-by-the-model", True, 2)

    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Evil()), "evil")
    Path("x.json").write_text("[1.5, 2]")
    status, answer = ask("predict", "evil", "x.json")
    assert status == 3
    assert "from_file" in answer["error"]
    assert not Path("made-by-the-model").exists()


def test_a_bar_on_the_terminal_leaves_the_answers_on_stdout(pristine: Path, files: Path, tmp_path: Path) -> None:
    """stderr is a terminal, stdout is not: a pseudo-terminal stands for the first, a file for the second."""
    import pty

    parent, child = pty.openpty()
    with (tmp_path / "stdout").open("wb") as out:
        command = [sys.executable, "-m", "torchship", "predict", str(pristine), str(files)]
        ran = subprocess.run(command, stdout=out, stderr=child, check=False)
    os.close(child)
    shown = os.read(parent, 1 << 16).decode()
    os.close(parent)
    assert ran.returncode == 0
    assert "predicting" in shown
    label = _label(images(1, seed=5))[0]
    assert [line.rpartition(": ")[2] for line in (tmp_path / "stdout").read_text().splitlines()] == [label] * 5
