"""What a file is, by its content alone."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save

from small_bundle import write_onnx
from torchship.errors import MalformedError, UnsafeError, UsageError
from torchship.formats import recognise
from torchship.formats.findings import Findings


def _look(path: Path, raw: bytes) -> Findings:
    path.write_bytes(raw)
    return recognise.look(path)


def _npy(array: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def _torch(value: object, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


class _Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.layer(x), x + y


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TorchScript archive and an exported program, under names that tell nothing."""
    folder = tmp_path_factory.mktemp("archives")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(_Net().eval()), str(folder / "script"))
        batch = torch.export.Dim("batch")
        example = (torch.zeros(2, 3), torch.zeros(2, 3))
        program = torch.export.export(_Net().eval(), example, dynamic_shapes=({0: batch}, {0: batch}))
        torch.export.save(program, str(folder / "program.pt2"))
    return folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def test_arrays(path: Path) -> None:
    found = _look(path, _npy(np.zeros((2, 3), np.float16)))
    assert (found.kind, found.safe, found.tensors[0].dtype, found.tensors[0].shape) == ("npy", True, "float16", (2, 3))
    assert "Python objects" in _look(path, _npy(np.array([{}], object))).reasons[0]
    stream = io.BytesIO()
    np.savez(stream, a=np.zeros(2), b=np.zeros((), np.int8))
    found = _look(path, stream.getvalue())
    assert (found.kind, [(t.name, t.dtype, t.shape) for t in found.tensors]) == (
        "npz", [("a", "float64", (2,)), ("b", "int8", ())],
    )  # fmt: skip


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_weights(path: Path, zipped: bool) -> None:
    found = _look(path, _torch(_Net().state_dict(), _use_new_zipfile_serialization=zipped))
    assert found.safe
    tensors = {tensor.name: (tensor.dtype, tensor.shape) for tensor in found.tensors}
    assert tensors == {"layer.weight": ("float32", (2, 3)), "layer.bias": ("float32", (2,))}


class _Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch executed",)


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_that_would_run_code_are_told_and_run_nothing(
    path: Path, zipped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    found = _look(path, _torch({"w": torch.ones(2), "x": _Evil()}, _use_new_zipfile_serialization=zipped))
    assert not found.safe
    assert "posix.system" in found.reasons[0]
    assert not (path.parent / "executed").exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_pickles_that_would_run_code_are_not_safe(path: Path, protocol: int) -> None:
    assert not _look(path, pickle.dumps(_Evil(), protocol)).safe
    assert not _look(path, pickle.dumps({"a": 1}, 4) + pickle.dumps(_Evil(), 4)).safe


def test_a_torchscript_archive(archives: Path) -> None:
    found = recognise.look(archives / "script")
    assert (found.kind, found.safe, found.reasons) == ("torchscript", True, ())
    assert [tensor.name for tensor in found.inputs] == ["x", "y"]
    assert [tensor.name for tensor in found.outputs] == ["output_0", "output_1"]


def test_an_exported_program(archives: Path) -> None:
    found = recognise.look(archives / "program.pt2")
    assert (found.kind, found.safe, found.reasons) == ("torch.export program", True, ())
    assert [(tensor.name, tensor.dtype) for tensor in found.inputs] == [("x", "float32"), ("y", "float32")]
    assert found.inputs[0].shape is not None
    assert found.inputs[0].shape[1] == 3
    assert isinstance(found.inputs[0].shape[0], str)
    assert len(found.outputs) == 2


def test_onnx_and_pictures(path: Path) -> None:
    write_onnx(path)
    found = recognise.look(path)
    assert (found.kind, found.safe) == ("onnx", True)
    assert [(t.name, t.dtype, t.shape) for t in found.inputs] == [("image", "uint8", ("batch", 1, 4, 6))]
    stream = io.BytesIO()
    Image.new("L", (2, 2)).save(stream, "PNG")
    assert _look(path, stream.getvalue()).kind == "picture"


def test_safetensors(path: Path) -> None:
    raw = save({"a": np.zeros((2, 3), np.float32), "b": np.ones(4, np.int8)})
    found = _look(path, raw)
    assert (found.kind, found.safe) == ("safetensors", True)
    assert {tensor.name: tensor.shape for tensor in found.tensors} == {"a": (2, 3), "b": (4,)}


def _header(entries: str, data: int = 8) -> bytes:
    return struct.pack("<Q", len(entries)) + entries.encode() + bytes(data)


def _entry(start: int = 0, end: int = 8, shape: str = "[2]", dtype: str = "F32") -> str:
    return f'{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{end}]}}'


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (_header(f'{{"a":{_entry()},"b":{_entry()}}}'), "overlaps another"),
        (_header(f'{{"a":{_entry(4, 12)}}}', 12), "leaves a hole"),
        (_header(f'{{"a":{_entry()}}}', 9), "its tensors take 8 bytes, the file holds 9"),
        (_header(f'{{"a":{_entry(0, 8, "[3]")}}}'), "can't have 8 bytes"),
        (_header(f'{{"a":{_entry(0, 8, "[-2]")}}}'), "negative or fractional"),
        (_header(f'{{"a":{_entry(dtype="OBJECT")}}}'), "nothing sensible"),
        (_header(f'{{"a":{_entry()},"a":{_entry()}}}'), "stands twice"),
        (_header('{"a":1}'), "nothing sensible"),
        (_header("{nonsense}"), "no JSON"),
    ],
)
def test_damaged_safetensors_are_not_safe(path: Path, raw: bytes, why: str) -> None:
    found = _look(path, raw)
    assert found.kind == "safetensors"
    assert why in found.reasons[0]


@pytest.mark.parametrize(
    "raw", [b"", b"text", json.dumps({"a": 1}).encode(), b"\x7fELF", b"\x89HDF\r\n\x1a\n", b"\x18\0\0\0TFL3", bytes(64)]
)
def test_what_it_can_not_look_into_is_not_called_safe(path: Path, raw: bytes) -> None:
    assert not _look(path, raw).safe


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read: No such file"):
        recognise.look(tmp_path / "missing")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MalformedError, match="no plain file"):
        recognise.look(tmp_path / "pipe")


def test_a_check_names_what_it_found_instead(archives: Path, path: Path) -> None:
    recognise.check(archives / "script", "torchscript")
    path.write_bytes(_torch({"w": torch.ones(1)}))
    with pytest.raises(UnsafeError, match="file is not a torchscript file but"):
        recognise.check(path, "torchscript")
