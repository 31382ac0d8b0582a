from __future__ import annotations

import os
import pickle
import resource
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from torchship.digits import checkpoint, data, is_digits, training
from torchship.digits.evaluation import evaluate
from torchship.digits.writing import check_destination
from torchship.errors import MalformedError, StorageError, UsageError


def small(arch="linear", optimizer="adam") -> training.Training:
    return training.start(training.Recipe(arch=arch, optimizer=optimizer))


def changed(linear: Path, path: Path, **fields) -> Path:
    """A copy of the file with other fields; None leaves one out."""
    content = torch.load(linear, weights_only=True) | fields
    torch.save({key: value for key, value in content.items() if value is not None}, path)
    return path


def test_torch_reads_it_without_running_anything(linear):
    content = torch.load(linear, weights_only=True)
    told = {key: value for key, value in content.items() if not isinstance(value, dict)}
    assert told == {
        "format": "torchship.digits",
        "version": 1,
        "arch": "linear",
        "loss": "ce",
        "optimizer": "adam",
        "seed": 0,
        "epochs": 1,
        "mean": 0.1307,
        "std": 0.3081,
    }
    assert list(content["state_dict"]) == ["linear.weight", "linear.bias"]


def test_what_was_saved_answers_the_same(linear):
    found = checkpoint.load(linear)
    assert not found.net.training
    assert evaluate(found.net, found.preprocess, data.split().held_out).accuracy > 0.8
    assert found.recipe == training.Recipe(arch="linear")


def test_the_same_training_writes_the_same_bytes(tmp_path, few):
    for name in ("a.pth", "b.pth"):
        made = small()
        training.train(made, few, 1)
        checkpoint.save(made, tmp_path / name)
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "b.pth").read_bytes()


@pytest.mark.parametrize("arch", ["cnn", "linear"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_two_epochs_and_two_more_are_four(tmp_path, few, arch, optimizer):
    straight, first = small(arch, optimizer), small(arch, optimizer)
    training.train(straight, few, 4)
    training.train(first, few, 2)
    checkpoint.save(first, tmp_path / "half.pth")
    found = checkpoint.load(tmp_path / "half.pth")
    resumed = found.resume(found.recipe)
    training.train(resumed, few, 2)
    checkpoint.save(straight, tmp_path / "a.pth")
    checkpoint.save(resumed, tmp_path / "b.pth")
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "b.pth").read_bytes()


def test_another_optimizer_starts_anew(linear):
    resumed = checkpoint.load(linear).resume(training.Recipe("linear", optimizer="sgd"))
    assert resumed.optimizer.state_dict()["state"] == {}
    assert resumed.epochs == 1


def test_another_architecture_is_refused(linear):
    with pytest.raises(UsageError, match="holds the architecture linear, not cnn"):
        checkpoint.load(linear).resume(training.Recipe("cnn"))


def test_is_recognised_without_torch(linear, tmp_path):
    code = "import sys; sys.modules['torch'] = None; from torchship.digits import is_digits; from pathlib import Path; "
    code += f"print(is_digits(Path({str(linear)!r})))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "True\n"


def others(folder: Path, linear: Path) -> dict[str, Path]:
    torch.save(torch.load(linear, weights_only=True)["state_dict"], folder / "state_dict.pth")
    torch.save({"note": "torchship.digits"}, folder / "mentions.pth")
    torch.save(torch.zeros(3), folder / "tensor.pth")
    (folder / "pickle.pth").write_bytes(pickle.dumps({"format": "torchship.digits"}))
    (folder / "empty.pth").touch()
    (folder / "cut.pth").write_bytes(linear.read_bytes()[:-100])
    (folder / "folder.pth").mkdir()
    with zipfile.ZipFile(folder / "bare.zip", "w") as archive:
        archive.writestr("a/data.pkl", b"\xff garbage")
    return {path.name: path for path in folder.iterdir()}


def test_nothing_else_is_taken_for_ours(tmp_path, linear):
    found = others(tmp_path, linear)
    assert len(found) == 8
    assert [name for name, path in found.items() if is_digits(path)] == []
    for name in ("state_dict.pth", "pickle.pth", "empty.pth", "cut.pth"):
        with pytest.raises(UsageError, match=f"{name} is not a whole file of `torchship train digits`"):
            checkpoint.load(found[name])
    with pytest.raises(UsageError, match=r"folder\.pth is not a file"):
        checkpoint.load(found["folder.pth"])
    with pytest.raises(UsageError, match=r"none\.pth is not there"):
        checkpoint.load(tmp_path / "none.pth")


class Bomb:
    def __reduce__(self):
        return os.system, ("touch exploded",)


def test_code_in_a_file_that_says_it_is_ours_never_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"format": "torchship.digits", "version": 1, "arch": Bomb()}, "bomb.pth")
    assert is_digits(Path("bomb.pth"))
    with pytest.raises(MalformedError, match="can't be read"):
        checkpoint.load(Path("bomb.pth"))
    assert not Path("exploded").exists()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"arch": "resnet"}, r"doesn't say what it is \(Invalid enum value 'resnet' - at `\$.arch`\)"),
        ({"std": 0.0}, r"doesn't say what it is \(Expected `float` > 0.* - at `\$.std`\)"),
        ({"epochs": -1}, r"doesn't say what it is .*\$.epochs"),
        ({"seed": None}, "missing required field `seed`"),
        ({"version": 2}, "has version 2 of the format; this torchship reads up to 1"),
        ({"state_dict": None}, "has no state_dict"),
        ({"state_dict": {}}, "doesn't fit the architecture linear: linear.weight is missing; linear.bias is missing"),
        (
            {"arch": "cnn"},
            "doesn't fit the architecture cnn: conv1.weight is missing; .*float32.10, 784., not float32",
        ),
        ({"optimizer_state": None}, "has no optimizer_state"),
        ({"optimizer": "sgd"}, "has an optimizer_state for parameter 0 that is not of sgd"),
        ({"optimizer_state": {0: {}}}, "has an optimizer_state of another number of parameters"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_and_says_how(tmp_path, linear, fields, told):
    with pytest.raises(MalformedError, match=told) as caught:
        checkpoint.load(changed(linear, tmp_path / "changed.pth", **fields))
    assert caught.value.exit_status == 3


@pytest.mark.parametrize(
    ("weight", "told"),
    [
        (torch.zeros(784, 10), r"linear.weight is float32\[784, 10\], not float32\[10, 784\]"),
        (torch.zeros(10, 784, dtype=torch.float64), r"linear.weight is float64\[10, 784\], not float32\[10, 784\]"),
        (torch.full((10, 784), float("inf")), "linear.weight holds NaN or infinity"),
        ("weights", "linear.weight is a str, not a tensor"),
    ],
)
def test_a_weight_that_does_not_fit_is_named(tmp_path, linear, weight, told):
    own = torch.load(linear, weights_only=True)["state_dict"]
    path = changed(linear, tmp_path / "changed.pth", state_dict=own | {"linear.weight": weight, "head.bias": weight})
    with pytest.raises(MalformedError, match=f"{told}; head.bias is not of this architecture"):
        checkpoint.load(path)


def test_moments_of_another_shape_are_refused(tmp_path, linear):
    state = torch.load(linear, weights_only=True)["optimizer_state"]
    state[1]["exp_avg"] = torch.zeros(11)
    with pytest.raises(MalformedError, match="an optimizer_state that doesn't fit: exp_avg of parameter 1"):
        checkpoint.load(changed(linear, tmp_path / "changed.pth", optimizer_state=state))


def test_what_is_far_too_large_or_compressed_is_not_read(tmp_path, linear):
    large = changed(linear, tmp_path / "large.pth", more=torch.zeros(5 << 20))
    with pytest.raises(MalformedError, match="is larger than a digits net can be"):
        checkpoint.load(large)
    with zipfile.ZipFile(tmp_path / "packed.pth", "w") as packed, zipfile.ZipFile(linear) as archive:
        for entry in archive.namelist():
            method = zipfile.ZIP_STORED if entry.endswith("data.pkl") else zipfile.ZIP_DEFLATED
            packed.writestr(entry, archive.read(entry), compress_type=method)
    with pytest.raises(MalformedError, match="is compressed"):
        checkpoint.load(tmp_path / "packed.pth")


def test_a_damaged_byte_is_noticed_or_harmless(tmp_path, linear):
    whole = linear.read_bytes()
    for at in range(0, len(whole), 997):
        (tmp_path / "hurt.pth").write_bytes(whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :])
        try:
            checkpoint.load(tmp_path / "hurt.pth")
        except (MalformedError, UsageError) as error:
            assert "hurt.pth" in error.what  # noqa: PT017


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "digits.pth"
    path.write_bytes(b"the old one")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"digits\.pth can't be written: File too large"):
            checkpoint.save(small(), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"the old one"
    assert [each.name for each in tmp_path.iterdir()] == ["digits.pth"]


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write everywhere")
def test_a_read_only_folder_is_told_before_the_training(tmp_path):
    tmp_path.chmod(0o555)
    command = [sys.executable, "-m", "torchship", "train", "digits", "-o", str(tmp_path / "digits.pth")]
    if os.geteuid() == 0:
        command = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", *command]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert f"{tmp_path}/digits.pth can't be written: Permission denied" in told.stderr
    assert told.stdout == ""


def test_places_that_are_no_place_for_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(UsageError, match="is not a file"):
            check_destination(path)
    with pytest.raises(UsageError, match=r"the folder .*/none is not there") as caught:
        check_destination(tmp_path / "none" / "digits.pth")
    assert caught.value.hint == f"mkdir -p {tmp_path}/none"


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.pth").symlink_to("real/digits.pth")
    checkpoint.save(small(), tmp_path / "link.pth")
    assert (tmp_path / "link.pth").is_symlink()
    assert is_digits(tmp_path / "real" / "digits.pth")


def test_the_file_has_the_permissions_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        checkpoint.save(small(), tmp_path / "digits.pth")
    finally:
        os.umask(before)
    assert (tmp_path / "digits.pth").stat().st_mode & 0o777 == 0o640
