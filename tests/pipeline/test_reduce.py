"""Variants of reduced precision through the command line: made, judged, chosen, or refused with what they lose."""

from __future__ import annotations

import json

import numpy as np
import pytest

import torchship
from torchship.cli.main import main

NET = """
import numpy as np, torch
from torch import nn

torch.manual_seed(5)
X = torch.randn(64, 1, 12, 12)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3)
        self.head = nn.Linear(800, 4)
        with torch.no_grad():  # one channel a thousand times as loud: what all share in a range suffers
            self.second.weight[0] *= 1000
            self.head.weight[:, :100] /= 1000
    def forward(self, x):
        return self.head(torch.relu(self.second(torch.relu(self.first(x)))).flatten(1))

def nearness(predict):
    torch.manual_seed(5)
    right = Net().eval()(X).detach().numpy()
    return 1 - float(np.abs(predict(X.numpy()) - right).max() / np.abs(right).max())

def net():
    torch.manual_seed(5)
    return {"model": Net().eval(), "args": (X[:2],), "dynamic_shapes": {"x": {0: "batch"}}, "evaluate": nearness,
            "calibration": [X[at : at + 8] for at in range(0, 64, 8)]}

def loss(predict):
    return 1 - nearness(predict)

def upside_down():
    return net() | {"evaluate": loss}

def broken(predict):
    return float("nan")

def plain():
    torch.manual_seed(5)
    return {"model": nn.Linear(4, 3).eval(), "args": (torch.randn(2, 4),), "dynamic_shapes": {"input": {0: "batch"}}}
"""


def _ship(capsys, *args) -> tuple[int, dict]:
    status = main(["ship", *map(str, args), "--json"])
    return status, json.loads(capsys.readouterr().out)


def _rows(told) -> dict:
    return {each["name"]: each for each in told["artifacts"]}


def test_int8_digits_are_a_third_of_the_size_and_as_right(digits_checkpoint, tmp_path, capsys):
    status, told = _ship(
        capsys, digits_checkpoint, "-o", tmp_path / "b", "--targets", "onnx", "--quantize", "int8,fp16",
        "--max-drop", "0.005",
    )  # fmt: skip
    assert status == 0
    rows = _rows(told)
    assert {name: row["status"] for name, row in rows.items()} == dict.fromkeys(
        ("onnx", "onnx-int8", "onnx-fp16"), "ok"
    )
    assert rows["onnx-int8"]["size_bytes"] <= 0.35 * rows["onnx"]["size_bytes"]
    assert rows["onnx-int8"]["accuracy"] >= rows["onnx"]["accuracy"] - 0.005
    assert rows["onnx-int8"]["variant"] == "int8"
    image = np.zeros((3, 1, 28, 28), np.uint8)
    with (
        torchship.load(tmp_path / "b", artifact="onnx-int8") as small,
        torchship.load(tmp_path / "b", artifact="onnx") as usual,
    ):
        assert (small(image).argmax(1) == usual(image).argmax(1)).all()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("reduce") / "loud.py"
    path.write_text(NET)
    return path


@pytest.mark.slow
def test_what_loses_too_much_keeps_its_sensitive_layers_in_float(source, tmp_path, capsys):
    args = (f"{source}:net", "-o", tmp_path / "b", "--targets", "openvino", "--quantize", "int8")
    status, told = _ship(capsys, *args, "--max-drop", "1")
    assert status == 0
    lost = 1 - _rows(told)["openvino-int8"]["accuracy"]
    assert lost > 0.002
    status, told = _ship(capsys, *args, "--max-drop", f"{lost * 0.6:.6f}")
    row = _rows(told)["openvino-int8"]
    assert row["status"] == "ok", row
    assert row["how"].startswith("in float stayed ")
    assert 1 - row["accuracy"] <= lost * 0.6
    status, told = _ship(capsys, *args)
    assert status == 0
    row = _rows(told)["openvino-int8"]
    assert row["status"] == "failed"
    assert "0.00% is allowed" in row["reason"]
    assert "--max-drop" in row["hint"]
    assert told["chosen"] == "openvino"


@pytest.mark.slow
def test_auto_tries_what_the_host_gains_from(source, tmp_path, capsys):
    status, told = _ship(
        capsys, f"{source}:plain", "-o", tmp_path / "b", "--targets", "onnx", "--quantize", "auto", "--max-drop", "0.5"
    )
    assert status == 0
    rows = _rows(told)
    assert set(rows) == {"onnx", "onnx-int8-dynamic"}
    assert 0 <= rows["onnx-int8-dynamic"]["agreement"] <= 1
    assert "accuracy" not in rows["onnx-int8-dynamic"]


def test_an_evaluation_of_which_less_is_better_is_refused(source, tmp_path, capsys):
    status, told = _ship(capsys, f"{source}:upside_down", "-o", tmp_path / "b", "--quantize", "int8")
    assert status == 2
    assert "less is better" in told["error"]
    assert "minus" in told["hint"]
    status, told = _ship(
        capsys, f"{source}:plain", "-o", tmp_path / "b", "--quantize", "int8", "--evaluate", f"{source}:broken"
    )
    assert status != 0
    assert "no finite number" in told["error"]


def test_bad_wishes_are_told(source, tmp_path, capsys):
    status, told = _ship(capsys, f"{source}:plain", "-o", tmp_path / "b", "--quantize", "int7")
    assert status == 2
    assert "int7" in told["error"]
    assert "int8-dynamic" in told["hint"]
    status, told = _ship(
        capsys, f"{source}:plain", "-o", tmp_path / "b", "--targets", "onnx", "--quantize", "int8", "--max-drop", "1"
    )
    assert status == 0
    row = _rows(told)["onnx-int8"]
    assert row["status"] == "failed"
    assert "--calibration" in row["hint"]
    np.savez(tmp_path / "wrong.npz", input=np.zeros((9, 5), np.float32))
    status, told = _ship(
        capsys, f"{source}:plain", "-o", tmp_path / "b", "--quantize", "int8", "--calibration", tmp_path / "wrong.npz"
    )
    assert status == 2
    assert "doesn't fit" in told["error"]
    assert (tmp_path / "b" / "manifest.json").is_file()


@pytest.mark.slow
def test_pruned_digits_are_smaller_and_told_apart(digits_checkpoint, tmp_path, capsys):
    status, told = _ship(
        capsys, digits_checkpoint, "-o", tmp_path / "b", "--targets", "onnx", "--prune", "0.5", "--quantize",
        "int8-weights", "--max-drop", "0.02",
    )  # fmt: skip
    assert status == 0
    rows = _rows(told)
    assert set(rows) == {"onnx", "onnx-pruned", "onnx-int8-weights", "onnx-int8-weights-pruned"}
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert rows["onnx-pruned"]["size_bytes"] < 0.6 * rows["onnx"]["size_bytes"]
    assert rows["onnx-pruned"]["accuracy"] >= rows["onnx"]["accuracy"] - 0.02
    assert rows["onnx-pruned"]["variant"] == "pruned"
    assert "with whole channels; trained for" in rows["onnx-pruned"]["how"]
    assert rows["onnx-int8-weights-pruned"]["size_bytes"] < 0.6 * rows["onnx-pruned"]["size_bytes"]
    with torchship.load(tmp_path / "b", artifact="onnx-pruned") as model:
        assert model(np.zeros((3, 1, 28, 28), np.uint8)).shape == (3, 10)


@pytest.mark.slow
def test_what_was_pruned_otherwise_is_made_anew(digits_checkpoint, tmp_path, capsys):
    seen = []
    for share in ("0.25", "0.75", "0.25"):
        args = ("-o", tmp_path / "b", "--targets", "onnx", "--prune", share, "--quantize", "int8-weights")
        status, told = _ship(capsys, digits_checkpoint, *args, "--max-drop", "1")
        assert status == 0
        seen.append([_rows(told)[name]["size_bytes"] for name in ("onnx-pruned", "onnx-int8-weights-pruned")])
        for name in ("onnx-pruned", "onnx-int8-weights-pruned"):
            with torchship.load(tmp_path / "b", artifact=name) as model:
                assert model.artifact.name == name
    assert seen[0] == seen[2]
    assert seen[1][0] < seen[0][0]
    assert seen[1][1] < seen[0][1]


@pytest.mark.parametrize("given", ["1.0", "0", "-1", "half", "4:4", "other:0.5"])
def test_a_share_that_leaves_all_or_nothing_is_refused(source, tmp_path, capsys, given):
    status, told = _ship(capsys, f"{source}:plain", "-o", tmp_path / "b", f"--prune={given}")
    assert status == 2
    assert given in told["error"]


def test_what_can_t_be_pruned_is_a_row(source, tmp_path, capsys):
    status, told = _ship(capsys, f"{source}:plain", "-o", tmp_path / "b", "--targets", "onnx", "--prune", "0.5")
    assert status == 0
    assert _rows(told)["onnx-pruned"]["status"] == "failed"
    assert "no channel that could be taken away" in _rows(told)["onnx-pruned"]["reason"]
    assert told["chosen"] == "onnx"
