"""``inspect``, ``extract``, ``verify``, ``doctor``, ``bench``."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from cli.asking import Ask, Tell
from small_bundle import artifact, images, make_bundle, scores, write_onnx
from torchship.bundle.artifact import HostContract


def test_inspect_a_bundle(pristine: Path, tmp_path: Path, ask: Ask, tell: Tell) -> None:
    status, found = ask("inspect", pristine)
    assert status == 0
    assert (found["kind"], found["safe"], found["reasons"]) == ("bundle", True, [])
    assert found["inputs"] == [{"name": "image", "dtype": "uint8", "shape": ["batch", 1, 4, 6]}]
    assert found["outputs"] == [{"name": "scores", "dtype": "float32", "shape": ["batch", 3]}]
    assert found["artifacts"] == ["onnx"]
    assert ask("inspect", make_bundle(tmp_path / "net.ship"))[1] == found
    status, out, _ = tell("inspect", pristine)
    assert (status, out.splitlines()[0]) == (0, f"{pristine}: bundle, safe to open")
    assert "    image: uint8 [batch, 1, 4, 6]" in out


def test_inspect_a_tampered_bundle(pristine: Path, tmp_path: Path, ask: Ask, tell: Tell) -> None:
    bundle = Path(shutil.copytree(pristine, tmp_path / "net"))
    (bundle / "more").touch()
    status, found = ask("inspect", bundle)
    assert (status, found["kind"], found["safe"]) == (3, "bundle", False)
    assert found["reasons"] == ["more doesn't belong to the bundle: the manifest doesn't name it"]
    assert "NOT safe to open" in tell("inspect", bundle)[1]


def test_inspect_a_bundle_whose_artifact_reaches_outside(tmp_path: Path, ask: Ask) -> None:
    import onnx

    def write(folder: Path) -> None:
        write_onnx(folder / "model.onnx")
        model = onnx.load(folder / "model.onnx")
        weights = model.graph.initializer[0]
        weights.ClearField("raw_data")
        weights.data_location = onnx.TensorProto.EXTERNAL
        weights.external_data.add(key="location", value="/etc/passwd")
        (folder / "model.onnx").write_bytes(model.SerializeToString())

    status, found = ask("inspect", make_bundle(tmp_path / "net", [(artifact(), write)]))
    assert (status, found["safe"]) == (3, False)
    assert found["reasons"] == ["the artifact onnx: keeps data in '/etc/passwd', which leaves the model's folder"]


def test_inspect_files(tmp_path: Path, ask: Ask, tell: Tell) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 3), np.int16))
    status, found = ask("inspect", tmp_path / "x.npy")
    assert (status, found["kind"], found["tensors"]) == (0, "npy", [{"name": "", "dtype": "int16", "shape": [2, 3]}])
    assert "(the array): int16 [2, 3]" in tell("inspect", tmp_path / "x.npy")[1]
    np.save(tmp_path / "o.npy", np.array([{}], object), allow_pickle=True)
    assert ask("inspect", tmp_path / "o.npy")[0] == 3
    (tmp_path / "saved_model.pb").touch()
    assert ask("inspect", tmp_path)[1]["kind"] == "SavedModel"


class _Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch executed",)


def test_inspect_executes_nothing(tmp_path: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"w": _Evil()}, "evil.pth")
    status, found = ask("inspect", "evil.pth")
    assert (status, found["safe"]) == (3, False)
    assert "system" in found["reasons"][0]
    assert not Path("executed").exists()


def test_inspect_nothing(tmp_path: Path, ask: Ask) -> None:
    assert ask("inspect", tmp_path / "missing")[0] == 2
    status, answer = ask("inspect", tmp_path)
    assert (status, answer["error"]) == (2, f"{tmp_path} is a folder that is not a bundle")


def test_extract(pristine: Path, tmp_path: Path, ask: Ask, tell: Tell) -> None:
    status, answer = ask("extract", pristine, "onnx", "-o", tmp_path / "m.onnx")
    assert (status, answer) == (0, {"artifact": "onnx", "files": [str(tmp_path / "m.onnx")]})
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    assert session.run(None, {"image": images(2)})[0].tolist() == scores(images(2)).tolist()
    assert tell("extract", pristine, "onnx", "-o", tmp_path) == (0, f"{tmp_path / 'model.onnx'}\n", "")
    status, answer = ask("extract", pristine, "torchscript", "-o", tmp_path / "m.pt")
    assert (status, answer["hint"]) == (2, "it has: onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.onnx", "model.onnx"]


def test_extract_several_files(tmp_path: Path, ask: Ask) -> None:
    def write(folder: Path) -> None:
        write_onnx(folder / "model.onnx")
        (folder / "deep").mkdir()
        (folder / "deep" / "data").write_bytes(b"1")

    bundle = make_bundle(tmp_path / "net", [(artifact(), write)])
    status, answer = ask("extract", bundle, "onnx", "-o", tmp_path / "out")
    assert status == 0
    assert answer["files"] == [str(tmp_path / "out" / "deep" / "data"), str(tmp_path / "out" / "model.onnx")]
    assert (tmp_path / "out" / "deep" / "data").read_bytes() == b"1"
    (tmp_path / "file").touch()
    assert ask("extract", bundle, "onnx", "-o", tmp_path / "file")[0] == 2


def test_verify(pristine: Path, tmp_path: Path, ask: Ask, tell: Tell) -> None:
    status, answer = ask("verify", pristine)
    assert (status, answer["files"]) == (0, 2)
    assert answer["bytes"] == sum(
        (pristine / name).stat().st_size for name in ("artifacts/onnx/model.onnx", "golden/0.safetensors")
    )
    assert "its origin was not checked" in tell("verify", pristine)[1]
    status, answer = ask("verify", pristine, "--key", "a.pub")
    assert (status, "can't check signatures yet" in answer["error"]) == (1, True)
    assert ask("verify", tmp_path / "missing")[0] == 2


def test_doctor(ask: Ask, tell: Tell) -> None:
    status, answer = ask("doctor")
    assert status == 0
    for target in ("onnx", "torchscript", "exported"):
        assert answer["targets"][target] == {"build": True, "run": True, "hint": None}
    assert answer["host"]["cores"] >= 1
    assert answer["host"]["versions"]["numpy"] == np.__version__
    status, out, _ = tell("doctor")
    assert "onnx" in out
    assert "builds and runs" in out


def test_bench(tmp_path: Path, ask: Ask, tell: Tell) -> None:
    bundle = make_bundle(
        tmp_path / "net",
        [
            (artifact("one"), lambda folder: write_onnx(folder / "model.onnx")),
            (artifact("two"), lambda folder: write_onnx(folder / "model.onnx")),
            (artifact("alien", host=HostContract(isa=("zz",))), lambda folder: write_onnx(folder / "model.onnx")),
        ],
    )
    status, answer = ask("bench", bundle, "--seconds", "0.05", "--batch", "1", "--batch", "64", "--batch", "100")
    assert status == 0
    assert [(one["artifact"], one["batch"]) for one in answer["measured"]] == [
        ("one", 1), ("two", 1), ("one", 64), ("two", 64),
    ]  # fmt: skip
    for one in answer["measured"]:
        assert 0 < one["latency_ms"]["p50"] <= one["latency_ms"]["p99"]
        assert one["throughput"] == pytest.approx(one["batch"] / one["latency_ms"]["p50"] * 1e3)
    assert answer["skipped"] == [{"artifact": "alien", "reason": "it needs a CPU with zz"}]
    status, out, _ = tell("bench", bundle, "--seconds", "0.02", "--artifact", "two", "--threads", "2", "--batch", "2")
    assert status == 0
    assert "two" in out
    assert "one" not in out
    status, answer = ask("bench", bundle, "--compare", bundle, "--seconds", "0.1", "--batch", "1")
    assert status == 0
    assert [(one["artifact"], one["batch"]) for one in answer["compared"]] == [("one", 1), ("two", 1)]
    for one in answer["compared"]:
        assert one["ratio"]["low"] <= one["ratio"]["value"] <= one["ratio"]["high"]
        assert one["verdict"] in ("equal", "quicker", "slower")
    assert tell("bench", bundle, "--artifact", "alien")[0] == 1
    assert tell("bench", bundle, "--artifact", "nothing")[0] == 2
    assert tell("bench", bundle, "--batch", "100")[0] == 2
    assert tell("bench", bundle, "--batch", "0")[0] == 2


def _run(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "torchship", *words], capture_output=True, text=True, check=False, **options
    )


def test_the_command_itself(pristine: Path) -> None:
    assert _run("--version").stdout.startswith("torchship ")
    helped = _run("--help")
    assert helped.returncode == 0
    for command in ("predict", "inspect", "extract", "verify", "doctor", "bench"):
        assert command in helped.stdout
    wrong = _run("predikt")
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr
    told = _run("inspect", "missing", "--json")
    assert told.returncode == 2
    assert "missing can't be read" in json.loads(told.stdout)["error"]
    assert "Traceback" in _run("inspect", "missing", "--debug").stderr
    assert _run("inspect", str(pristine)).stderr == ""


def test_a_reader_that_goes_away_is_no_crash(pristine: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", images(64))
    inner = f"{sys.executable} -m torchship predict {pristine} {tmp_path}/x.npy --json | head -c 5"
    ran = subprocess.run(["bash", "-c", inner], capture_output=True, text=True, check=False)
    assert "Traceback" not in ran.stderr
    assert ran.stdout == '{"out'


def test_what_the_disk_refuses_is_told_with_what_to_do(pristine: Path, ask: Ask) -> None:
    status, answer = ask("extract", pristine, "onnx", "-o", "/proc/version/x")
    assert status == 1
    assert answer["error"].startswith("can't use /proc/version")
    assert "Traceback" not in answer["error"]
    assert answer["hint"]


def test_a_stop_by_the_user_is_a_clean_end(pristine: Path) -> None:
    """Ctrl-C while stdin is awaited: an exit status of its own, no traceback."""
    command = [sys.executable, "-m", "torchship", "predict", str(pristine), "-"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write("x" * (1 << 20))  # more than a pipe holds: written only when it is being read
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "torchship: interrupted; nothing was changed\n"
