"""A bundle's files: what isn't as it was shipped is refused by its name, before anything is opened."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from small_bundle import make_bundle
from torchship import load
from torchship.bundle import files
from torchship.bundle.manifest import CHUNK
from torchship.bundle.reading import read_manifest
from torchship.errors import RefusedError, TamperedError

_PARTS = ("manifest.json", "measurements.json", "golden/0.safetensors", "artifacts/onnx/model.onnx")


def _flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _extend(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _link(path: Path) -> None:
    moved = path.parents[1] / "moved"
    path.rename(moved)
    path.symlink_to(moved)


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("part", _PARTS)
@pytest.mark.parametrize("tamper", [_flip, _truncate, _extend, _empty, Path.unlink, _link, _fifo])
def test_a_file_that_was_changed_is_refused_by_its_name(
    bundle: Path, part: str, tamper: Callable[[Path], None]
) -> None:
    tamper(bundle / part)
    with pytest.raises(RefusedError) as caught:
        load(bundle)
    assert Path(part).name in caught.value.what
    assert caught.value.exit_status == 3


def test_every_byte_of_the_manifest_counts(pristine: Path, tmp_path: Path) -> None:
    raw = (pristine / "manifest.json").read_bytes()
    place = tmp_path / "manifest.json"
    for at in range(0, len(raw), 7):
        changed = bytearray(raw)
        changed[at] ^= 0x01
        place.write_bytes(changed)
        with pytest.raises(RefusedError):
            read_manifest(tmp_path)


@pytest.mark.parametrize("name", ["extra", ".gitignore", "artifacts/onnx/._model.onnx", "golden/x/y", "bundle.sig.old"])
def test_a_file_that_was_added_is_refused_by_its_name(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).touch()
    with pytest.raises(TamperedError, match=f"^{name} doesn't belong to the bundle"):
        load(bundle)


def test_links_and_sockets_that_were_added_are_refused(bundle: Path, tmp_path: Path) -> None:
    (bundle / "golden" / "link").symlink_to(tmp_path)
    with pytest.raises(TamperedError, match="golden/link is a link, a bundle holds plain files only"):
        load(bundle)
    (bundle / "golden" / "link").unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(bundle / "s"))
        with pytest.raises(TamperedError, match="s is a socket"):
            load(bundle)


def test_swapped_files_are_refused(bundle: Path) -> None:
    one, other = bundle / _PARTS[2], bundle / _PARTS[3]
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    with pytest.raises(TamperedError, match=r"model\.onnx has \d+ bytes instead of \d+"):
        load(bundle)


def test_measurements_of_another_bundle_are_refused(bundle: Path, tmp_path: Path) -> None:
    other = make_bundle(tmp_path / "other", why="another manifest")
    (bundle / "measurements.json").write_bytes((other / "measurements.json").read_bytes())
    with pytest.raises(TamperedError, match=r"measurements\.json belongs to another bundle"):
        load(bundle)


def test_a_bundle_without_its_manifest_is_told_from_a_folder(bundle: Path) -> None:
    (bundle / "manifest.json").unlink()
    with pytest.raises(TamperedError, match=r"manifest\.json is missing"):
        load(bundle)


def test_hashes_are_those_of_the_chunks_also_where_they_are_taken_in_parallel(tmp_path: Path) -> None:
    raw = np.random.default_rng(0).bytes(2 * CHUNK + 12345)
    (tmp_path / "big").write_bytes(raw)
    (tmp_path / "empty").touch()
    (tmp_path / "small").write_bytes(b"abc")
    found = {entry.path: entry for entry in files.entries_of(tmp_path)}
    chunks = [raw[start : start + CHUNK] for start in range(0, len(raw), CHUNK)]
    assert found["big"].chunks == tuple(hashlib.sha256(chunk).hexdigest() for chunk in chunks)
    assert found["big"].size == len(raw)
    assert found["empty"].chunks == ()
    assert found["small"].chunks == (hashlib.sha256(b"abc").hexdigest(),)
    files.check(tmp_path, tuple(found.values()))
    with (tmp_path / "big").open("r+b") as file:
        file.seek(CHUNK + 5)
        file.write(bytes([raw[CHUNK + 5] ^ 1]))
    with pytest.raises(TamperedError, match="big was changed: its SHA-256"):
        files.check(tmp_path, tuple(found.values()))
