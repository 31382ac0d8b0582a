"""The runtime without torch: a subprocess in which importing it, or onnx, fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from small_bundle import artifact, images, make_bundle, scores, write_onnx
from torchship.bundle.artifact import HostContract

_BLOCK = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "onnx", "onnxscript", "sympy"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""


def _run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _BLOCK + code, *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Best first: one that needs torch, one that doesn't."""
    torchscript = artifact(
        "torchscript", target="torchscript", main="model.pt", host=HostContract(packages={"torch": ">=2"})
    )
    return make_bundle(
        tmp_path_factory.mktemp("no-torch") / "net",
        [
            (torchscript, lambda folder: (folder / "model.pt").write_bytes(b"unused")),
            (artifact(), lambda folder: write_onnx(folder / "model.onnx")),
        ],
    )


def test_load_takes_the_best_that_needs_none(bundle: Path) -> None:
    code = (
        "import torchship, numpy, json\n"
        "model = torchship.load(sys.argv[1])\n"
        "answer = model(numpy.load(sys.argv[2])).tolist()\n"
        "print(json.dumps([model.artifact.name, model.notes, answer, 'torch' in sys.modules]))"
    )
    np.save(bundle.parent / "x.npy", images(2))
    ran = _run(code, str(bundle), str(bundle.parent / "x.npy"))
    assert ran.returncode == 0, ran.stderr
    name, notes, answer, torch = json.loads(ran.stdout)
    assert (name, answer, torch) == ("onnx", scores(images(2)).tolist(), False)
    assert len(notes) == 1
    assert notes[0].startswith("passed over torchscript: ")
    assert "pip install" in notes[0]


@pytest.mark.parametrize("command", ["predict", "inspect", "verify", "doctor", "bench", "extract", "--help"])
def test_the_commands_work(bundle: Path, command: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", images(1))
    arguments = {
        "predict": [str(bundle), str(tmp_path / "x.npy")],
        "inspect": [str(bundle)],
        "verify": [str(bundle)],
        "bench": [str(bundle), "--seconds", "0.02"],
        "extract": [str(bundle), "onnx", "-o", str(tmp_path / "m.onnx")],
    }.get(command, [])
    code = "from torchship.cli.main import main\nraise SystemExit(main(sys.argv[1:]))"
    ran = _run(code, command, *arguments)
    assert ran.returncode == 0, ran.stdout + ran.stderr
