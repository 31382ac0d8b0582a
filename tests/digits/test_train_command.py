from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from digits.mnist_files import FILES, IMAGE_FILE, folder_with
from torchship.cli.main import main
from torchship.digits import checkpoint, data, is_digits

TORCHSHIP = [sys.executable, "-m", "torchship"]


def train(*words: object) -> int:
    return main(["train", "digits", *map(str, words)])


def told(capsys, *words: object) -> dict:
    assert train(*words, "--json") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 1
    return json.loads(out)


def refusal(capsys, *words: object) -> tuple[int, str]:
    status = train(*words)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("torchship: ")
    assert "Traceback" not in err
    return status, err


def test_json_tells_what_was_made(tmp_path, capsys):
    path = tmp_path / "digits.pth"
    made = told(
        capsys, "-o", path, "--arch", "linear", "--epochs", 2, "--loss", "mse", "--optimizer", "sgd", "--seed", 3
    )
    seconds, accuracy = made.pop("seconds"), made.pop("accuracy")
    confusion = np.array(made.pop("confusion"))
    assert made == {
        "file": str(path),
        "size_bytes": path.stat().st_size,
        "arch": "linear",
        "loss": "mse",
        "optimizer": "sgd",
        "seed": 3,
        "epochs": 2,
        "epochs_in_all": 2,
        "from": None,
        "data": "embedded",
        "trained_on": 4000,
        "left_out": 0,
        "held_out": 1000,
    }
    assert 0 < seconds < 60
    assert confusion.sum(axis=1).tolist() == [100] * 10
    assert accuracy == confusion.trace() / 1000 > 0.85
    assert checkpoint.load(path).recipe.seed == 3


def test_a_person_sees_the_accuracy_and_the_confusion_matrix(tmp_path, capsys):
    path = tmp_path / "digits.pth"
    assert train("-o", path, "--arch", "linear", "--epochs", 1) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0].startswith("linear · ce · adam · seed 0 · 1 epoch · 4,000 images · ")
    right = int(next(line for line in lines if "held-out accuracy" in line).split("(")[1].split()[0])
    rows = [line.split()[1:] for line in lines if line.strip()[:1].isdigit() and len(line.split()) == 11]
    counts = np.array([[0 if cell == "·" else int(cell) for cell in row] for row in rows[-10:]])
    assert counts.shape == (10, 10)
    assert counts.trace() == right
    assert counts.sum(axis=1).tolist() == [100] * 10
    assert f"wrote {path}  next: torchship ship {path} -o {tmp_path}/digits-bundle" in out
    assert max(map(len, lines[:-1])) <= 80


def test_from_goes_on_by_what_the_file_says(tmp_path, linear, capsys):
    straight, half, whole = (tmp_path / name for name in ("straight.pth", "half.pth", "whole.pth"))
    told(capsys, "-o", straight, "--arch", "linear", "--epochs", 2, "--seed", 8, "--loss", "bce")
    told(capsys, "-o", half, "--arch", "linear", "--epochs", 1, "--seed", 8, "--loss", "bce")
    made = told(capsys, "-o", whole, "--from", half, "--epochs", 1)
    assert (made["arch"], made["loss"], made["seed"], made["from"]) == ("linear", "bce", 8, str(half))
    assert (made["epochs"], made["epochs_in_all"]) == (1, 2)
    assert straight.read_bytes() == whole.read_bytes()


def test_from_with_another_optimizer_says_that_it_starts_anew(tmp_path, linear, capsys):
    assert train("-o", tmp_path / "digits.pth", "--from", linear, "--epochs", 1, "--optimizer", "sgd") == 0
    assert capsys.readouterr().err == f"sgd starts anew: {linear} was trained with adam\n"


def test_from_that_does_not_fit(tmp_path, linear, capsys):
    status, err = refusal(capsys, "-o", tmp_path / "new.pth", "--from", linear, "--arch", "cnn")
    assert status == 2
    assert err == (
        f"torchship: {linear} holds the architecture linear, not cnn\n  do: --arch linear, or leave --arch out\n"
    )
    status, err = refusal(capsys, "-o", tmp_path / "new.pth", "--from", tmp_path / "none.pth")
    assert (status, err) == (2, f"torchship: {tmp_path}/none.pth is not there\n")
    assert not list(tmp_path.iterdir())


def test_data_of_ones_own(tmp_path, capsys):
    folder = folder_with(tmp_path / "mnist")
    made = told(capsys, "-o", tmp_path / "digits.pth", "--data", folder, "--epochs", 1, "--arch", "linear")
    assert (made["data"], made["trained_on"], made["held_out"], made["left_out"]) == (str(folder), 20, 20, 0)


def test_the_embedded_held_out_digits_are_never_trained_on(tmp_path, capsys):
    held_out = data.split().held_out.images
    images = IMAGE_FILE[:16] + held_out[:5].tobytes() + IMAGE_FILE[16 + 5 * 784 :]
    folder = folder_with(tmp_path / "mnist", train_images_idx3_ubyte=images)
    words = ["-o", tmp_path / "digits.pth", "--data", folder, "--epochs", 1, "--arch", "linear"]
    made = told(capsys, *words)
    assert (made["trained_on"], made["left_out"]) == (15, 5)
    assert train(*words) == 0
    assert "left out 5 training images that are among the embedded held-out digits" in capsys.readouterr().out
    folder_with(folder, train_images_idx3_ubyte=images[:16] + held_out[:20].tobytes())
    status, err = refusal(capsys, *words)
    assert (status, "every training image" in err) == (2, True)


def test_malformed_data_is_refused(tmp_path, capsys):
    folder = folder_with(tmp_path / "mnist", train_labels_idx1_ubyte=FILES["train-labels-idx1-ubyte"][:-1])
    status, err = refusal(capsys, "-o", tmp_path / "digits.pth", "--data", folder)
    assert status == 3
    assert "train-labels-idx1-ubyte, byte 27: ends here, too early for the 20 bytes of data that it declares" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epochs", "0"], "argument --epochs: '0' is not a whole number from 1 to 10000"),
        (["--epochs", "2.5"], "argument --epochs: '2.5' is not a whole number"),
        (["--seed", "-1"], "argument --seed: '-1' is not a whole number from 0"),
        (["--arch", "resnet"], "argument --arch: invalid choice: 'resnet'"),
        (["--loss", "huber"], "argument --loss: invalid choice: 'huber'"),
        (["-o", "/none/digits.pth"], "the folder /none is not there\n  do: mkdir -p /none"),
        (["-o", "."], ". is not a file"),
    ],
)
def test_wrong_usage(tmp_path, capsys, words, message):
    status, err = refusal(capsys, "-o", tmp_path / "digits.pth", *words)
    assert status == 2
    assert message in err


def test_without_torch(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    status, err = refusal(capsys, "-o", tmp_path / "digits.pth")
    assert status == 1
    assert err == "torchship: training needs torch\n  do: pip install 'torchship[build]'\n"


def under_a_terminal(path: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A training whose stderr is a terminal; the descriptor reads what it shows there."""
    ours, theirs = pty.openpty()
    command = [*TORCHSHIP, "train", "digits", "-o", str(path), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=os.environ | {"TERM": "xterm"})
    os.close(theirs)
    return process, ours


def read_until(descriptor: int, word: bytes) -> bytes:
    """What the terminal shows up to ``word``, or up to its end."""
    shown = b""
    with suppress(OSError):  # the other end was closed
        while word not in shown:
            shown += os.read(descriptor, 4096)
    return shown


def test_progress_on_a_terminal_and_a_clean_end_by_ctrl_c(tmp_path):
    path = tmp_path / "digits.pth"
    path.write_bytes(b"the old one")
    process, terminal = under_a_terminal(path)
    assert b"epoch 1" in read_until(terminal, b"epoch 1")
    process.send_signal(signal.SIGINT)
    rest = read_until(terminal, b"\0")
    out, _ = process.communicate(timeout=60)
    os.close(terminal)
    assert process.returncode == 130
    assert b"Traceback" not in rest
    assert b"interrupted" in rest
    assert json.loads(out)["error"].startswith("interrupted")
    assert path.read_bytes() == b"the old one"
    assert [each.name for each in tmp_path.iterdir()] == ["digits.pth"]


def test_no_progress_elsewhere(tmp_path):
    command = [
        *TORCHSHIP,
        "train",
        "digits",
        "-o",
        str(tmp_path / "a.pth"),
        "--arch",
        "linear",
        "--epochs",
        "1",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"FORCE_COLOR": "1"})
    assert done.stderr == ""
    assert json.loads(done.stdout)["epochs"] == 1
    assert is_digits(tmp_path / "a.pth")
