"""Weights files: what is in them is told as torch itself would tell it, and what doesn't fit together is refused."""

from __future__ import annotations

import argparse
import io
import pathlib
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from formats.harmful import edited, saved
from torchship.errors import MalformedError, RefusedError, UnsafeError
from torchship.formats import checkpoints, pickles, recognise
from torchship.formats.rules import check, may_allow
from torchship.formats.tensors import named_tensors
from torchship.formats.torch_rules import WEIGHTS, module_rules
from torchship.models.unpickling import load

DTYPES = [
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool, torch.complex64, torch.uint16, torch.float8_e4m3fn,
]  # fmt: skip


def _write(tmp_path: Path, raw: bytes) -> Path:
    (tmp_path / "file").write_bytes(raw)
    return tmp_path / "file"


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensors_are_described_as_torch_reads_them(dtype: torch.dtype, zipped: bool, tmp_path: Path) -> None:
    whole = torch.zeros(4, 6).to(dtype)
    value = {"whole": whole, "part": whole[1:3, ::2], "turned": whole.T, "none": whole[:0], "one": whole[0, 0]}
    path = _write(tmp_path, saved(value, _use_new_zipfile_serialization=zipped))
    told = {
        name: (each.dtype, each.shape) for name, each in named_tensors(checkpoints.read(path, WEIGHTS).value).items()
    }
    assert told == {name: (str(dtype).removeprefix("torch."), tuple(each.shape)) for name, each in value.items()}


def test_a_whole_training_state_is_safe(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.randn(4, 3)).sum().backward()
    optimizer.step()
    state = {
        "state_dict": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "best": np.float64(0.5),
        "rng": (torch.get_rng_state(), np.random.RandomState(3).get_state()), "seen": {1},
        "args": argparse.Namespace(lr=0.1, to=pathlib.PurePosixPath("a")),
        "size": torch.Size([2, 3]), "device": torch.device("cpu"), "raw": b"abc", "array": bytearray(b"abc"),
    }  # fmt: skip
    for protocol in (2, 4):
        found = recognise.look(_write(tmp_path, saved(state, pickle_protocol=protocol)))
        assert found.reasons == ()
        assert load(tmp_path / "file", WEIGHTS)["epoch"] == 3
        assert {"state_dict.0.weight", "optimizer.state.0.exp_avg"} <= {each.name for each in found.tensors}


def test_quantised_and_sparse_tensors_are_safe(tmp_path: Path) -> None:
    warnings.simplefilter("ignore")  # pytest puts it back
    value = {
        "q": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8),
        "s": torch.eye(3).to_sparse(),
        "p": nn.Parameter(torch.ones(2)),
    }
    assert recognise.look(_write(tmp_path, saved(value))).reasons == ()


def test_a_pickled_module_names_the_flags_that_would_allow_it(tmp_path: Path) -> None:
    path = _write(tmp_path, saved(nn.Sequential(nn.Linear(2, 2), _Own())))
    with pytest.raises(UnsafeError) as refused:
        checkpoints.read(path, module_rules(()))
    assert refused.value.hint is not None
    assert refused.value.hint.endswith(f"--allow {_Own.__module__}._Own")
    rules = module_rules((f"{_Own.__module__}._Own",))
    assert checkpoints.module_class(checkpoints.read(path, rules)) == "torch.nn.modules.container.Sequential"


class _Own(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "subprocess.Popen", "posix.system", "eval"])
def test_what_runs_programs_can_not_be_allowed(name: str) -> None:
    assert not may_allow(name)
    with pytest.raises(UnsafeError, match="not a class that a model is made of"):
        module_rules((name,))


# a layer is made empty and given a state, never called; a dtype is of numbers; and so on
@pytest.mark.parametrize(
    "call",
    [
        b"ctorch.nn.modules.linear\nLinear\n(J\xff\xff\xff\x7fJ\xff\xff\xff\x7ftR",
        b"ctorch._utils\n_rebuild_tensor_v2\n(tR",
        b"ctorch._tensor\n_rebuild_from_type_v2\n(cposix\nsystem\nctorch\nTensor\n(tNtR",
        b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x03\x00\x00\x00hextR",
        b"cnumpy\ndtype\n(X\x01\x00\x00\x00OtR",
        b"cnumpy.core.multiarray\nscalar\n(tR",
        b"ccollections\ndefaultdict\n(cbuiltins\nprint\ntR",
        b"ctorch.storage\n_load_from_bytes\n(tR",
    ],
)
def test_a_known_name_that_is_called_otherwise_than_torch_does_is_refused(call: bytes) -> None:
    with pytest.raises(RefusedError):
        check(pickles.read_whole(b"\x80\x02" + call + b".", "p"), module_rules(()), "p")


def _changed(tmp_path: Path, change: Any) -> Path:
    path = tmp_path / "sound.pth"
    torch.save({"w": torch.ones(2, 3)}, path)
    return edited(path, tmp_path / "file", change)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda name, raw: raw[:8] if name == "data/0" else raw, "holds 8 bytes instead of 24"),
        (lambda name, raw: None if name == "data/0" else raw, "is missing"),
        (lambda name, raw: b"middle" if name == "byteorder" else raw, "neither little nor big"),
        (lambda _, raw: raw.replace(b"K\x02K\x03\x86", b"K\x09K\x03\x86"), "beyond its storage"),
        (lambda name, raw: raw[:-9] if name == "data.pkl" else raw, "no pickle"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(change: Any, why: str, tmp_path: Path) -> None:
    path = _changed(tmp_path, change)
    assert any(why in reason for reason in recognise.look(path).reasons)
    with pytest.raises(RefusedError, match=why):
        checkpoints.read(path, WEIGHTS)


def test_the_older_form_is_held_against_its_own_list(tmp_path: Path) -> None:
    raw = saved({"w": torch.ones(2, 3)}, _use_new_zipfile_serialization=False)
    assert recognise.look(_write(tmp_path, raw)).tensors[0].shape == (2, 3)
    for broken in (raw[:-4], raw + b"more"):
        with pytest.raises(UnsafeError, match="bytes behind its pickles"):
            checkpoints.read(_write(tmp_path, broken), WEIGHTS)
    with pytest.raises(MalformedError):
        checkpoints.read(_write(tmp_path, raw[:40]), WEIGHTS)


def test_an_archive_without_an_end_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
    path = _write(tmp_path, stream.getvalue()[:-22])
    assert recognise.kind_of(path) == "zip"
    assert recognise.look(path).reasons == ("the zip archive is cut short: it has no end record",)
