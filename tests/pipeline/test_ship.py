"""The whole way, through the command line, with real converters in real workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import torchship
from torchship.cli.main import main
from torchship.errors import ConstraintError

NET = """
import torch
from torch import nn

class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)
    def forward(self, x):
        if x.sum() > 0:
            return self.layer(x)
        return -self.layer(x)

def plain():
    return {"model": nn.Linear(4, 2).eval(), "args": (torch.randn(2, 4),)}

def branches():
    return {"model": Branches().eval(), "args": (torch.randn(2, 4),), "dynamic_shapes": {"x": {0: "batch"}}}

def unseeded():
    import os
    torch.manual_seed(int.from_bytes(os.urandom(4), "little"))
    return plain()

class Leaves(Branches):
    def forward(self, x):
        kept = x[0]
        for row in x:
            kept = row
            if row.sum() > 0:
                break
        return self.layer(kept)

def leaves():
    return {"model": Leaves().eval(), "args": (torch.randn(2, 4),), "dynamic_shapes": {"x": {0: "batch"}}}

class Draws(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)

def draws():
    return {"model": Draws().eval(), "args": (torch.randn(2, 4),)}

class Hangs(nn.Module):
    def forward(self, x):
        import time
        time.sleep(600)
        return x

def hangs():
    return {"model": Hangs().eval(), "args": (torch.randn(2, 4),)}

class Crashes(nn.Module):
    def forward(self, x):
        import ctypes
        ctypes.string_at(0)
        return x

def crashes():
    return {"model": Crashes().eval(), "args": (torch.randn(2, 4),)}

def chatty():
    print("{not json", flush=True)
    return plain()

def judge(predict):
    return float((predict(torch.zeros(3, 4)) == predict({"input": torch.zeros(3, 4)})).mean())

def judge_badly(predict):
    return float("nan")
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    file = tmp_path / "net.py"
    file.write_text(NET)
    return file


def ship(capfd, *words: str) -> tuple[int, dict]:
    status = main(["ship", *words, "--json"])
    return status, json.loads(capfd.readouterr().out)


def test_the_digits_keep_to_the_contract(digits_bundle, capfd):
    manifest = json.loads((digits_bundle / "manifest.json").read_text())
    assert manifest["signature"]["inputs"] == [{"name": "image", "dtype": "uint8", "shape": ["batch", 1, 28, 28]}]
    assert manifest["signature"]["outputs"] == [{"name": "scores", "dtype": "float32", "shape": ["batch", 10]}]
    assert [row["status"] for row in manifest["rows"]] == ["ok", "ok", "ok"]
    accuracy = manifest["evaluation"]["accuracy"]
    assert accuracy > 0.9
    for shipped in manifest["shipped"]:
        assert shipped["verdict"]["accuracy"] == pytest.approx(accuracy, abs=0.001)
        assert shipped["verdict"]["noise_ratio"] < 32
        assert {1, 2, 3} <= {sizes["batch"] for sizes in shipped["verdict"]["sizes"]}
    assert np.array(manifest["evaluation"]["confusion"]).sum() == 1000


def test_the_bundle_answers_as_eager_does(digits_bundle, digits_checkpoint):
    from torchship.models.open import open_source
    from torchship.models.source import parse

    eager = open_source(parse(str(digits_checkpoint)))
    images = np.random.default_rng(3).integers(0, 256, (7, 1, 28, 28), dtype=np.uint8)
    expected = eager.flat.answer((torch.from_numpy(images),))[0].numpy()
    with torchship.load(digits_bundle) as model:
        assert np.abs(model(images) - expected).max() < 1e-4


def test_ship_json_has_the_fields_of_the_contract(net, tmp_path, capfd):
    status, told = ship(capfd, f"{net}:plain", "-o", str(tmp_path / "out"), "--targets", "onnx,torchscript:trace")
    assert status == 0
    assert told["bundle"] == str(tmp_path / "out")
    assert told["chosen"] in ("onnx", "torchscript")
    assert told["reference"]["latency_ms"].keys() == {"p50", "p99"}
    onnx, script = told["artifacts"]
    assert (onnx["name"], onnx["target"], onnx["variant"], onnx["route"], onnx["status"]) == (
        "onnx", "onnx", "fp32", "export", "ok",
    )  # fmt: skip
    assert script["route"] == "trace"
    assert onnx["size_bytes"] > 0
    assert onnx["convert_seconds"] > 0
    assert onnx["settings"]["threads"] >= 1


def test_a_baked_branch_is_caught_and_script_taken_instead(net, tmp_path, capfd):
    out = str(tmp_path / "out")
    status, told = ship(capfd, f"{net}:branches", "-o", out, "--targets", "torchscript")
    assert status == 0
    assert told["artifacts"][0]["route"] == "script"
    status, told = ship(capfd, f"{net}:branches", "-o", out, "--targets", "torchscript:trace")
    assert status == 4
    assert "answers wrongly on the input" in told["artifacts"][0]["reason"]
    assert told["artifacts"][0]["status"] == "failed"
    assert torchship.load(out).artifact.route == "script", "the last good bundle is still there"


def test_a_refused_export_names_operator_and_line(net, tmp_path, capfd):
    words = (f"{net}:leaves", "-o", str(tmp_path / "out"), "--targets", "exported:export,torchscript")
    status, told = ship(capfd, *words)
    assert status == 0
    row = next(each for each in told["artifacts"] if each["target"] == "exported")
    assert row["status"] == "failed"
    assert row["op"] == "aten.is_nonzero"
    assert row["where"] == "net.py:30 in forward"


@pytest.mark.parametrize("route", ["export", pytest.param("script", marks=pytest.mark.slow)])
def test_a_branch_is_the_exported_programs_own(net, tmp_path, capfd, route):
    status, told = ship(capfd, f"{net}:branches", "-o", str(tmp_path / "out"), "--targets", f"exported:{route}")
    assert status == 0
    assert [(row["status"], row["route"]) for row in told["artifacts"]] == [("ok", route)]
    model = torchship.load(tmp_path / "out")
    x = np.float32([[1, 2, 3, 4]])
    product = model(2 * x) - model(x)  # the layer gives product + bias; below zero the net turns the whole round
    bias = model(x) - product
    assert np.abs(bias).max() > 1e-3
    assert np.abs(model(-x) - (product - bias)).max() < 1e-5


def test_what_is_wrong_with_the_model_is_told_for_each_target(net, tmp_path, capfd):
    status, told = ship(capfd, f"{net}:draws", "-o", str(tmp_path / "out"), "--targets", "onnx,exported")
    assert status == 1
    assert [(row["target"], row["status"], row["op"]) for row in told["artifacts"]] == [
        ("onnx", "failed", "aten.rand_like"),
        ("exported", "failed", "aten.rand_like"),
    ]
    assert told["where"].startswith("net.py:")


def test_weights_that_change_from_process_to_process_are_told(net, tmp_path, capfd):
    status, told = ship(capfd, f"{net}:unseeded", "-o", str(tmp_path / "out"), "--targets", "torchscript:trace")
    assert status == 4
    assert "makes other weights each time" in told["where"]


def test_a_model_that_hangs_or_crashes_costs_an_error_and_no_bundle(net, tmp_path, capfd):
    status, told = ship(capfd, f"{net}:hangs", "-o", str(tmp_path / "out"), "--targets", "onnx", "--timeout", "6")
    assert status == 1
    assert "took longer than 6 s" in told["error"]
    status, told = ship(capfd, f"{net}:crashes", "-o", str(tmp_path / "out"), "--targets", "onnx")
    assert status == 1
    assert "died by SIGSEGV" in told["error"]
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_chatty_source_does_not_disturb_the_pipe(net, tmp_path, capfd):
    status, told = ship(capfd, f"{net}:chatty", "-o", str(tmp_path / "out"), "--targets", "torchscript:trace")
    assert status == 0
    assert told["chosen"] == "torchscript"


def test_the_users_own_function_judges(net, tmp_path, capfd):
    words = (f"{net}:plain", "-o", str(tmp_path / "out"), "--targets", "torchscript:trace", "--evaluate")
    status, told = ship(capfd, *words, f"{net}:judge")
    assert status == 0
    assert told["reference"]["accuracy"] == told["artifacts"][0]["accuracy"] == 1.0
    status, told = ship(capfd, *words, f"{net}:judge_badly")
    assert status == 1
    assert "which is no finite number" in told["error"]


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["nothing.pth", "-o", "out"], 2, "no such source"),
        (["{net}:plain"], 2, "-o/--output"),
        (["{net}:plain", "-o", "out", "--targets", "onx"], 2, "unknown target 'onx'"),
        (["{net}:plain", "-o", "out", "--targets", "onnx:fast"], 2, "no route 'fast'"),
        (["{net}:plain", "-o", "out", "--evaluate", "no.npz"], 2, "no such file"),
        (["{net}:plain", "-o", "out", "--timeout", "0"], 2, "above zero"),
        (["{net}:plain", "-o", "{net}"], 2, "net.py"),
    ],
)
def test_wrong_usage_is_told_before_anything_runs(net, tmp_path, monkeypatch, capfd, words, status, told):
    monkeypatch.chdir(tmp_path)
    before = time.monotonic()
    got, answer = ship(capfd, *(word.format(net=net) for word in words))
    assert got == status
    assert told in answer["error"]
    assert time.monotonic() - before < 5
    assert net.read_text() == NET


def test_impossible_constraints_exit_4_with_the_nearest_misses(net, tmp_path, capfd):
    words = (f"{net}:plain", "-o", str(tmp_path / "out"), "--targets", "torchscript:trace", "--max-size-mb", "0.000001")
    status, told = ship(capfd, *words)
    assert status == 4
    assert "torchscript: " in told["error"]
    assert not (tmp_path / "out").exists()


def test_interrupted_nothing_is_left_behind(net, tmp_path):
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    words = [
        sys.executable,
        "-m",
        "torchship",
        "ship",
        f"{net}:hangs",
        "-o",
        str(tmp_path / "out"),
        "--targets",
        "onnx",
    ]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, env=os.environ | {"TMPDIR": str(scratch)})
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert b"interrupted" in told
    assert process.returncode == 130
    assert not list(scratch.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == ["net.py", "tmp"]


def test_a_live_module_is_shipped_and_given_back(tmp_path):
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    bundle = torchship.ship(net, (torch.randn(2, 4),), output=tmp_path / "live", targets="onnx torchscript:trace")
    assert bundle.manifest.origin.model == "Sequential"
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    x = np.random.default_rng(1).standard_normal((5, 4)).astype(np.float32)
    model = torchship.load(tmp_path / "live", artifact="onnx")
    assert np.abs(model(x) - net(torch.from_numpy(x)).detach().numpy()).max() < 1e-5


def test_a_live_module_with_a_branch_is_exported_with_its_sizes_open(tmp_path):
    class Turned(nn.Module):
        def forward(self, x):
            return x * 2 if bool(x.sum() > 0) else x - 1

    shapes = {"x": {0: torch.export.Dim("batch", min=1, max=9)}}
    torchship.ship(Turned(), (torch.randn(2, 4),), None, shapes, output=tmp_path / "live", targets="exported")
    model = torchship.load(tmp_path / "live")
    ones = np.ones((7, 4), np.float32)
    assert model(ones).tolist() == (ones * 2).tolist()
    assert model(-ones).tolist() == (-ones - 1).tolist()


def test_a_live_module_of_which_nothing_can_be_made_raises(tmp_path):
    class Local(nn.Module):
        def forward(self, x):
            for row in x:
                if row.sum() > 0:
                    break
            return row

    with pytest.raises(ConstraintError, match="no target could be made"):
        torchship.ship(Local(), (torch.randn(2, 4),), output=tmp_path / "none", targets="exported:export")
    assert not (tmp_path / "none").exists()
