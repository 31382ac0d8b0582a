"""A zip archive has one meaning, or is refused."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchship.errors import MalformedError, RefusedError, UnsafeError
from torchship.formats import zips

_FILES = {"a": b"first", "folder/b": bytes(5000), "c": b""}


def _archive(files: dict[str, bytes] | None = None, method: int = zipfile.ZIP_DEFLATED, **more: Any) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, raw in (files or _FILES).items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            for key, value in more.items():
                setattr(info, key, value)
            archive.writestr(info, raw)
    return stream.getvalue()


def _read(raw: bytes) -> dict[str, bytes]:
    file = io.BytesIO(raw)
    return {member.name: zips.read(file, member, 1 << 20) for member in zips.members(file)}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_it_reads_what_zipfile_writes(method: int) -> None:
    assert _read(_archive(method=method)) == _FILES


def test_it_reads_archives_of_unknown_size_when_written() -> None:
    class Pipe(io.RawIOBase):
        """Can't be sought, so that sizes follow the data."""

        def __init__(self) -> None:
            self.raw = b""

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.raw += bytes(data)
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
        for name, raw in _FILES.items():
            archive.writestr(name, raw)
    assert _read(pipe.raw) == _FILES


def test_it_reads_what_torch_and_numpy_write() -> None:
    stream = io.BytesIO()
    torch.save({"w": torch.ones(3)}, stream)
    names = [member.name for member in zips.members(stream)]
    assert any(name.endswith("data.pkl") for name in names)
    assert "data.pkl" in zips.without_root(zips.members(stream))
    arrays = io.BytesIO()
    np.savez_compressed(arrays, a=np.ones(3))
    assert [member.name for member in zips.members(arrays)] == ["a.npy"]


def test_it_reads_folders_and_an_empty_archive() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.mkdir("folder") if hasattr(archive, "mkdir") else archive.writestr("folder/", b"")
        archive.writestr("folder/x", b"1")
    assert _read(stream.getvalue()) == {"folder/x": b"1"}
    assert _read(_archive({"x": b""})) == {"x": b""}


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a\\b", "C:/x", "a//b", "./x", "..", "a/./b"])
def test_a_name_that_leaves_the_folder_is_refused(name: str) -> None:
    with pytest.raises(UnsafeError, match="would leave the folder"):
        _read(_archive({"good": b""} | {name: b"x"}))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_twice_is_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("same", b"one")
        archive.writestr("same", b"two")
    with pytest.raises(UnsafeError, match="holds 'same' twice"):
        _read(stream.getvalue())
    with pytest.raises(UnsafeError, match="'a' is both a file and a folder"):
        _read(_archive({"a": b"", "a/b": b""}))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_devices_are_refused(kind: int) -> None:
    with pytest.raises(UnsafeError, match="is a link or a device"):
        _read(_archive(external_attr=(kind | 0o777) << 16, create_system=3))


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = _archive({str(n): bytes(16 << 20) for n in range(20)})
    assert len(bomb) < 1 << 20
    with pytest.raises(UnsafeError, match="would unpack to 335544320: a bomb"):
        zips.members(io.BytesIO(bomb))


def test_a_member_bigger_than_expected_is_refused() -> None:
    file = io.BytesIO(_archive())
    member = next(one for one in zips.members(file) if one.name == "folder/b")
    with pytest.raises(UnsafeError, match="has 5000 bytes, at most 100 are read"):
        zips.read(file, member, 100)


def _local(raw: bytes, offset: int, value: bytes) -> bytes:
    """Change the first local header, which begins the file."""
    return raw[:offset] + value + raw[offset + len(value) :]


@pytest.mark.parametrize(
    ("offset", "value", "why"),
    [
        (30, b"z", "calls 'a' by another name in its local header"),
        (22, struct.pack("<L", 6), "local and central headers differ"),
        (18, struct.pack("<L", 4), "local and central headers differ"),
        (14, struct.pack("<L", 1), "local and central headers differ"),
        (8, struct.pack("<H", 0), "local and central headers differ"),
        (6, struct.pack("<H", 1), "local and central headers differ"),
        (0, b"XXXX", "local and central headers differ"),
    ],
)
def test_local_and_central_headers_that_disagree_are_refused(offset: int, value: bytes, why: str) -> None:
    with pytest.raises(UnsafeError, match=why):
        zips.members(io.BytesIO(_local(_archive(), offset, value)))


def test_hidden_bytes_are_refused() -> None:
    raw = _archive()
    with pytest.raises(MalformedError, match="hidden bytes behind"):
        zips.members(io.BytesIO(raw + b"hidden"))
    with pytest.raises(MalformedError):
        zips.members(io.BytesIO(b"hidden" + raw))
    with zipfile.ZipFile(io.BytesIO(raw)) as opened:
        at = opened.getinfo("folder/b").header_offset
    between = bytearray(raw[:at] + b"hid" + raw[at:])
    with pytest.raises(RefusedError):
        zips.members(io.BytesIO(bytes(between)))


def test_a_second_end_record_in_the_comment_is_refused() -> None:
    inner, outer = _archive({"inner": b"1"}), io.BytesIO()
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("outer", b"2")
        archive.comment = inner[-22:]
    with pytest.raises(MalformedError):
        zips.members(outer)


def test_encrypted_or_exotic_members_are_refused() -> None:
    raw = bytearray(_archive({"a": b"1"}, zipfile.ZIP_STORED))
    central = raw.rindex(b"PK\x01\x02")
    raw[6] |= 1
    raw[central + 8] |= 1
    with pytest.raises(UnsafeError, match="encrypted"):
        zips.members(io.BytesIO(bytes(raw)))
    with pytest.raises(UnsafeError, match="packed by method 12"):
        zips.members(io.BytesIO(_archive({"a": b"1"}, zipfile.ZIP_BZIP2)))


def test_damaged_data_is_refused() -> None:
    raw = bytearray(_archive({"a": b"1234567890" * 100}))
    raw[40] ^= 0xFF
    with pytest.raises(MalformedError, match="'a' is damaged"):
        _read(bytes(raw))


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 255), st.integers(0, 40))
def test_a_changed_archive_is_refused_or_reads_as_zipfile_does(at: int, byte: int, cut: int) -> None:
    """Whatever is changed: never another exception, and never other contents than Python's own reader sees."""
    raw = bytearray(_archive())
    raw[at % len(raw)] = byte
    changed = bytes(raw[: len(raw) - cut])
    try:
        found = _read(changed)
    except RefusedError:
        return
    with zipfile.ZipFile(io.BytesIO(changed)) as archive:
        assert found == {name: archive.read(name) for name in archive.namelist()}
