"""Tells what a file is by its content, never by its name, and looks into it without running anything in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from torchship.errors import MalformedError, RefusedError, UnsafeError
from torchship.formats import checkpoints, exported, npy, onnx, safetensors, torchscript, zips
from torchship.formats.findings import Findings, Tensor, described
from torchship.formats.mapped import mapped
from torchship.formats.pictures import is_picture

_Look = Callable[[Path, memoryview, BinaryIO], Findings]
_Inside = Callable[[BinaryIO, dict[str, zips.Member]], Findings]


def look(path: Path) -> Findings:
    """Look into a file.

    Raises:
        UsageError: it isn't there, or may not be read.
        MalformedError: it is a pipe or a device, not a file.
    """
    with mapped(path) as raw, path.open("rb") as file:
        kind, looking = _recognised(raw, file)
        try:
            return looking(path, raw, file)
        except RefusedError as error:
            return Findings(kind, (error.what,))


def kind_of(path: Path) -> str:
    """Tell the kind of a file (``torch weights``, ``onnx`` …, ``unknown``; ``folder``) without looking further into it.

    Raises:
        UsageError: it isn't there, or may not be read.
        MalformedError: it is a pipe or a device, not a file.
    """
    if path.is_dir():
        return "folder"
    with mapped(path) as raw, path.open("rb") as file:
        return _recognised(raw, file)[0]


def check(path: Path, kind: str) -> None:
    """See that a file is of ``kind`` and safe to open.

    Raises:
        UnsafeError: it isn't; says why.
    """
    findings = look(path)
    if findings.kind != kind:
        raise UnsafeError(f"{path.name} is not a {kind} file but {findings.kind}", where=str(path))
    if findings.reasons:
        raise UnsafeError(f"{path.name}: {findings.reasons[0]}", where=str(path), hint="don't open it")


def _recognised(raw: memoryview, file: BinaryIO) -> tuple[str, _Look]:
    if zips.is_zip(bytes(raw[:4])):
        return _archive(file)
    head = bytes(raw[:64])
    known: tuple[tuple[bool, str, _Look], ...] = (
        (not head, "empty", _refuse("it is empty")),
        (head.startswith(npy.MAGIC), "npy", _npy),
        (is_picture(head), "picture", lambda *_: Findings("picture")),
        (checkpoints.is_legacy(head), checkpoints.KIND, lambda _path, raw, _: checkpoints.look_legacy(raw)),
        (safetensors.claims(raw), safetensors.KIND, lambda _path, raw, _: safetensors.look(raw)),
        (head.startswith(b"\x89HDF\r\n\x1a\n"), "HDF5", _refuse("torchship can't look into HDF5 (Keras .h5)")),
        (head[4:8] == b"TFL3", "TFLite", _refuse("torchship can't look into TFLite")),
        (head.startswith(b"\x80"), "pickle", lambda _path, raw, _: checkpoints.look_pickle(bytes(raw))),
    )
    for claimed, kind, looking in known:
        if claimed:
            return kind, looking
    return ("onnx", _onnx) if onnx.looks_like(raw) else ("unknown", _refuse("it is in no format that torchship knows"))


def _refuse(why: str) -> _Look:
    def look(*_: object) -> Findings:
        raise UnsafeError(f"{why}, so nobody can call it safe")

    return look


def _npy(path: Path, raw: memoryview, file: BinaryIO) -> Findings:
    header = npy.read_header(file, path.name)
    if header.start + header.size != len(raw):
        raise MalformedError(f"it declares {header.size} bytes of data and holds {len(raw) - header.start}")
    return Findings("npy", tensors=(Tensor("", str(header.dtype), header.shape),))


def _onnx(path: Path, raw: memoryview, _: BinaryIO) -> Findings:
    contents = onnx.read(raw)
    reasons = tuple(onnx.reasons_against(contents, path.parent))
    return Findings("onnx", reasons, described(contents.inputs), described(contents.outputs))


def _archive(file: BinaryIO) -> tuple[str, _Look]:
    """Of a zip archive, by the names in it."""
    try:
        members = zips.members(file)
    except RefusedError as error:
        return "zip", _raise(error)
    inner = zips.without_root(members)
    known: tuple[tuple[bool, str, _Inside], ...] = (
        ({"data.pkl", "constants.pkl"} <= inner.keys(), torchscript.KIND, torchscript.look),
        ("data.pkl" in inner, checkpoints.KIND, checkpoints.look_zip),
        ("archive_format" in inner or any(name.startswith("models/") for name in inner), exported.KIND, exported.look),
    )
    if members and all(member.name.endswith(".npy") for member in members):
        return "npz", lambda path, _, file: _npz(path, file)
    for claimed, kind, looking in known:
        if claimed:
            return kind, lambda _path, _raw, file, looking=looking: looking(file, inner)
    if {"config.json", "metadata.json"} <= inner.keys():
        return "Keras", _refuse("torchship can't look into Keras archives")
    return "zip", _refuse("it is a zip archive of nothing that torchship knows")


def _raise(error: RefusedError) -> _Look:
    def look(*_: object) -> Findings:
        raise error

    return look


def _npz(path: Path, file: BinaryIO) -> Findings:
    tensors = []
    for name, member in npy.array_members(file, path.name):
        array = npy.read_array(zips.read(file, member, npy.MAX_MEMBER), name)
        tensors.append(Tensor(name, str(array.dtype), array.shape))
    return Findings("npz", tensors=tuple(tensors))
