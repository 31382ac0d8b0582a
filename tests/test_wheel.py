"""The wheel in an environment of its own, without torch: loads, predicts and serves what was shipped elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from torchship.digits.data import split

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PREDICT = """
import importlib.util, json, sys
import numpy as np
import torchship

assert importlib.util.find_spec("torch") is None
assert importlib.util.find_spec("onnx") is None
with torchship.load(sys.argv[1]) as model:
    print(json.dumps({"artifact": model.artifact.name, "scores": model(np.load(sys.argv[2])).tolist()}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("torchship-*.whl"))


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the programs of an environment lie that holds the wheel and what it needs, no more."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=True)
    pip = [folder / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    done = subprocess.run([*pip, "-c", ROOT / "constraints.txt", wheel], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "digit.png"
    Image.fromarray(split().held_out.images[0]).save(path)
    return path


def run(*words: str | Path) -> str:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wheel_holds_all_that_is_not_code(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for part in ("digits/data/mnist5k.npz", "digits/data/SOURCE.md", "report/templates/page.html", "py.typed"):
        assert f"torchship/{part}" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if not name.startswith(("torchship/", "torchship-"))]


def test_environment_is_small(bare: Path) -> None:
    installed = {each["name"] for each in json.loads(run(bare / "python", "-m", "pip", "list", "--format=json"))}
    assert "torchship" in installed
    assert not installed & {"torch", "onnx", "onnxscript", "matplotlib", "jinja2", "sympy", "networkx"}
    run(bare / "python", "-m", "pip", "check")


def test_loads_and_answers_as_here(bare: Path, digits_bundle: Path, tmp_path: Path) -> None:
    import torchship

    images = split().held_out.batch()[:7]
    np.save(tmp_path / "images.npy", images)
    answer = json.loads(run(bare / "python", "-c", PREDICT, digits_bundle, tmp_path / "images.npy"))
    with torchship.load(digits_bundle, artifact=answer["artifact"]) as model:
        np.testing.assert_allclose(answer["scores"], model(images), rtol=1e-5, atol=1e-5)


def test_predicts_from_a_picture(bare: Path, digits_bundle: Path, picture: Path) -> None:
    answer = json.loads(run(bare / "torchship", "predict", digits_bundle, picture, "--json"))
    assert answer["label"] == str(int(np.argmax(answer["outputs"]["scores"][0])))
    assert answer["artifact"] == "onnx"


def test_doctor_says_what_is_missing(bare: Path) -> None:
    targets = json.loads(run(bare / "torchship", "doctor", "--json"))["targets"]
    assert targets["onnx"] == {"build": False, "run": True, "hint": "pip install 'torchship[build]'"}
    assert targets["torchscript"]["run"] is False


def test_ship_says_what_it_needs(bare: Path) -> None:
    command = [bare / "torchship", "ship", "net.py:Net", "-o", "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'torchship[build]'" in done.stderr


@pytest.fixture
def server(bare: Path, digits_bundle: Path, tmp_path: Path) -> Iterator[str]:
    command = [bare / "torchship", "serve", digits_bundle, "--port", "0", "--json"]
    log = (tmp_path / "log").open("w")
    with log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd="/") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (tmp_path / "log").read_text()
        yield json.loads(line)["model"]
        process.terminate()
        assert process.wait(timeout=60) == 0


def test_serves(server: str, bare: Path, digits_bundle: Path, picture: Path) -> None:
    with httpx.Client(trust_env=False) as client:
        told = client.post(f"{server}/predict", content=picture.read_bytes(), headers={"Content-Type": "image/png"})
        image = split().held_out.batch()[:1]
        tensor = {"name": "image", "shape": [1, 1, 28, 28], "datatype": "UINT8", "data": image.ravel().tolist()}
        answer = client.post(f"{server}/infer", json={"inputs": [tensor]}).json()["outputs"][0]
    predicted = json.loads(run(bare / "torchship", "predict", digits_bundle, picture, "--json"))
    assert told.json()["label"] == predicted["label"]
    np.testing.assert_allclose(answer["data"], predicted["outputs"]["scores"][0], rtol=1e-5, atol=1e-5)
    assert answer["shape"] == [1, 10]
