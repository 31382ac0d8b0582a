"""Reads a zip archive strictly: one meaning, or none.

Zip readers disagree where an archive contradicts itself, and what one reader checked another then opens. So whatever
is ambiguous is refused: a second end record, bytes that belong to nothing, members that overlap or share a name,
local headers that differ from the central directory. Layout by PKWARE's APPNOTE 6.3.10; names of sections as there.
"""

from __future__ import annotations

import dataclasses
import stat
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from torchship.errors import MalformedError, RefusedError, UnsafeError

MAX_MEMBERS = 100_000
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_STORED, _DEFLATED = 0, 8
_VERSION = 63  # of the format, times ten: the newest that its description knows
_DESCRIPTOR = 0x0008  # sizes and CRC follow the data
_UTF8 = 0x0800
_ALLOWED_FLAGS = _DESCRIPTOR | _UTF8 | 0x0006  # bits 1 and 2: how hard deflate tried
_DESCRIPTOR_SIZES = (12, 16, 20, 24)
_BOMB = 200  # times the archive's size, from _SMALL on
_SMALL = 256 << 20
_BLOCK = 1 << 20


@dataclasses.dataclass(frozen=True)
class Member:
    """A file in the archive. ``start``: where its data begins; ``packed`` and ``size``: bytes before and after."""

    name: str
    size: int
    packed: int
    crc: int
    method: int
    start: int


@dataclasses.dataclass(frozen=True)
class _Entry:
    """A member as the central directory tells it."""

    raw_name: bytes
    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    attributes: int


def is_zip(head: bytes) -> bool:
    """Whether a file that begins so claims to be a zip archive (an empty one has only an end record)."""
    return head[:4] in (b"PK\x03\x04", b"PK\x05\x06")


def members(file: BinaryIO) -> tuple[Member, ...]:
    """List the files of an archive, in the order in which they lie in it.

    Raises:
        MalformedError: cut short, or it contradicts itself.
        UnsafeError: a member is a link, leaves the folder, shares its name with another, or is a bomb.
    """
    try:
        return _members(file)
    except (struct.error, ValueError, IndexError) as error:
        if isinstance(error, RefusedError):
            raise
        raise MalformedError(f"the zip archive is damaged: {error}") from error


def _members(file: BinaryIO) -> tuple[Member, ...]:
    total = file.seek(0, 2)
    count, start, size, end = _end_record(file, total)
    if start + size != end:
        raise MalformedError("the zip archive's central directory isn't where its end record says")
    entries = sorted(_entries(_read(file, start, size), count), key=lambda entry: entry.offset)
    _check_names([entry.name for entry in entries])
    _check_sizes(entries, total)
    found = []
    position = 0
    for entry, limit in zip(entries, [entry.offset for entry in entries[1:]] + [start], strict=True):
        if entry.offset != position:
            raise MalformedError(f"there are hidden bytes before {entry.name!r} in the zip archive")
        data = _check_local(file, entry)
        position = _after(entry, data, limit)
        if not entry.name.endswith("/"):
            found.append(Member(entry.name, entry.size, entry.packed, entry.crc, entry.method, data))
    if position != start:
        raise MalformedError("there are hidden bytes before the zip archive's central directory")
    return tuple(found)


def _end_record(file: BinaryIO, total: int) -> tuple[int, int, int, int]:
    """Give the number of entries, the directory's place and size, and where the end records begin."""
    tail_start = max(0, total - 0xFFFF - _END.size)
    tail = _read(file, tail_start, total - tail_start)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0:
        raise MalformedError("the zip archive is cut short: it has no end record")
    _, disk, first_disk, here, count, size, start, comment = _END.unpack_from(tail, at)
    if at + _END.size + comment != len(tail):
        raise MalformedError("there are hidden bytes behind the zip archive's end record")
    if disk or first_disk or here != count:
        raise MalformedError("the zip archive is one part of several")
    end = tail_start + at
    if end >= _LOCATOR64.size and _read(file, end - _LOCATOR64.size, 4) == b"PK\x06\x07":
        return _end_record64(file, end - _LOCATOR64.size, (count, size, start))
    return count, start, size, end


def _end_record64(file: BinaryIO, at: int, small: tuple[int, int, int]) -> tuple[int, int, int, int]:
    _, disk, end, disks = _LOCATOR64.unpack(_read(file, at, _LOCATOR64.size))
    record = _END64.unpack(_read(file, end, _END64.size))
    signature, length, _, _, own_disk, first_disk, here, count, size, start = record
    if signature != b"PK\x06\x06" or disk or own_disk or first_disk or disks > 1 or here != count:
        raise MalformedError("the zip archive's 64-bit end record is damaged")
    if end + 12 + length != at:
        raise MalformedError("there are hidden bytes behind the zip archive's 64-bit end record")
    for large, given, mark in zip((count, size, start), small, (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF), strict=True):
        if given not in (mark, large):
            raise MalformedError("the zip archive's two end records contradict each other")
    return count, start, size, end


def _entries(directory: bytes, count: int) -> Iterator[_Entry]:
    if count > MAX_MEMBERS:
        raise UnsafeError(f"the zip archive has {count} members, at most {MAX_MEMBERS} are read")
    at = 0
    for _ in range(count):
        fields = _CENTRAL.unpack_from(directory, at)
        signature, _, version, flags, method, _, _, crc, packed, size = fields[:10]
        name_length, extra_length, comment_length, disk, _, attributes, offset = fields[10:]
        at += _CENTRAL.size
        raw_name = directory[at : at + name_length]
        extra = directory[at + name_length : at + name_length + extra_length]
        at += name_length + extra_length + comment_length
        if signature != b"PK\x01\x02" or at > len(directory) or disk not in (0, 0xFFFF):
            raise MalformedError("the zip archive's central directory is damaged")
        if version > _VERSION:
            raise UnsafeError(f"the zip archive needs version {version / 10} of the format, {_VERSION / 10} is read")
        size, packed, offset = _large(extra, (size, packed, offset))
        yield _Entry(raw_name, _name(raw_name, flags), flags, method, crc, packed, size, offset, attributes)
    if at != len(directory):
        raise MalformedError("the zip archive's central directory holds more than its end record says")


def _large(extra: bytes, small: tuple[int, ...]) -> tuple[int, ...]:
    """Replace each number that doesn't fit 32 bits by that of the zip64 extra field."""
    wide = b""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            wide = extra[at + 4 : at + 4 + length]
        at += 4 + length
    numbers = iter(struct.unpack(f"<{len(wide) // 8}Q", wide[: len(wide) // 8 * 8]))
    try:
        return tuple(next(numbers) if one == 0xFFFFFFFF else one for one in small)
    except (StopIteration, RuntimeError) as error:
        raise MalformedError("the zip archive lacks a 64-bit size") from error


def _name(raw: bytes, flags: int) -> str:
    try:
        name = raw.decode("utf-8" if flags & _UTF8 else "ascii")
    except UnicodeDecodeError as error:
        raise MalformedError(f"a name in the zip archive is in no known encoding: {raw!r}") from error
    parts = name.removesuffix("/").split("/")
    if "\\" in name or "\0" in name or any(part in ("", ".", "..") for part in parts) or parts[0].endswith(":"):
        raise UnsafeError(f"the zip archive's member {name!r} would leave the folder that it is unpacked in")
    return name


def _check_names(names: list[str]) -> None:
    files = {name.removesuffix("/") for name in names}
    if len(files) != len(names):
        twice = next(name for name in names if names.count(name) > 1 or name + "/" in names)
        raise UnsafeError(f"the zip archive holds {twice!r} twice")
    plain = {name for name in names if not name.endswith("/")}
    for name in names:
        parts = name.removesuffix("/").split("/")
        for depth in range(1, len(parts)):
            if (above := "/".join(parts[:depth])) in plain:
                raise UnsafeError(f"{above!r} is both a file and a folder in the zip archive")


def _check_sizes(entries: list[_Entry], total: int) -> None:
    for entry in entries:
        kind = stat.S_IFMT(entry.attributes >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise UnsafeError(f"the zip archive's member {entry.name!r} is a link or a device")
        if entry.flags & ~_ALLOWED_FLAGS:
            raise UnsafeError(f"the zip archive's member {entry.name!r} is encrypted or otherwise unreadable")
        if entry.method not in (_STORED, _DEFLATED):
            raise UnsafeError(
                f"the zip archive's member {entry.name!r} is packed by method {entry.method}, not deflate"
            )
        if entry.method == _STORED and entry.size != entry.packed:
            raise MalformedError(f"the zip archive gives two sizes for {entry.name!r}")
        if entry.name.endswith("/") and entry.size:
            raise MalformedError(f"the zip archive's folder {entry.name!r} holds data")
    unpacked = sum(entry.size for entry in entries)
    if unpacked > max(_SMALL, total * _BOMB):
        raise UnsafeError(f"the zip archive of {total} bytes would unpack to {unpacked}: a bomb")


def _check_local(file: BinaryIO, entry: _Entry) -> int:
    """Hold the local header against the central directory; give where the data begins."""
    head = _LOCAL.unpack(_read(file, entry.offset, _LOCAL.size))
    signature, _, flags, method, _, _, crc, packed, size, name_length, extra_length = head
    rest = _read(file, entry.offset + _LOCAL.size, name_length + extra_length)
    size, packed = _large(rest[name_length:], (size, packed))
    same = (crc, packed, size) == (entry.crc, entry.packed, entry.size)
    later = (
        bool(flags & _DESCRIPTOR) and crc in (0, entry.crc) and packed in (0, entry.packed) and size in (0, entry.size)
    )
    if signature != b"PK\x03\x04" or flags != entry.flags or method != entry.method or not (same or later):
        raise UnsafeError(f"the zip archive contradicts itself about {entry.name!r}: local and central headers differ")
    if rest[:name_length] != entry.raw_name:
        raise UnsafeError(f"the zip archive calls {entry.name!r} by another name in its local header")
    return entry.offset + _LOCAL.size + len(rest)


def _after(entry: _Entry, data: int, limit: int) -> int:
    """Where the member ends, its data descriptor included."""
    end = data + entry.packed
    if end > limit:
        raise MalformedError(f"the zip archive's member {entry.name!r} overlaps what follows, or is cut short")
    if entry.flags & _DESCRIPTOR and limit - end in _DESCRIPTOR_SIZES:
        return limit
    return end


def content(file: BinaryIO, member: Member) -> Iterator[bytes]:
    """Give the member's bytes in blocks; raises MalformedError where size or CRC turn out differently."""
    crc = size = 0
    for block in _unpacked(file, member):
        crc = zlib.crc32(block, crc)
        size += len(block)
        yield block
    if crc != member.crc or size != member.size:
        raise MalformedError(f"the zip archive's member {member.name!r} is damaged")


def read(file: BinaryIO, member: Member, limit: int) -> bytes:
    """Give the member's bytes at once; raises UnsafeError where it is bigger than ``limit``."""
    if member.size > limit:
        raise UnsafeError(f"{member.name!r} in the zip archive has {member.size} bytes, at most {limit} are read")
    return b"".join(content(file, member))


def _unpacked(file: BinaryIO, member: Member) -> Iterator[bytes]:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS) if member.method == _DEFLATED else None
    for start in range(0, member.packed, _BLOCK):
        block = _read(file, member.start + start, min(_BLOCK, member.packed - start))
        if inflate is None:
            yield block
            continue
        yield from _inflate(inflate, block, member)
    if inflate is not None and (not inflate.eof or inflate.unused_data):
        raise MalformedError(f"the zip archive's member {member.name!r} is damaged")


def _inflate(inflate: zlib._Decompress, block: bytes, member: Member) -> Iterator[bytes]:
    try:
        while block:
            yield inflate.decompress(block, _BLOCK)
            block = inflate.unconsumed_tail
    except zlib.error as error:
        raise MalformedError(f"the zip archive's member {member.name!r} is damaged: {error}") from error


def _read(file: BinaryIO, start: int, size: int) -> bytes:
    try:
        file.seek(start)
    except (OSError, OverflowError) as error:
        raise MalformedError(f"the zip archive points beyond any file, to {start}") from error
    data = file.read(size)
    if len(data) != size:
        raise MalformedError("the zip archive is cut short")
    return data


def without_root(members: tuple[Member, ...]) -> dict[str, Member]:
    """Members by name, without the one folder that all of them lie in (torch's archives have such a folder)."""
    roots = {member.name.partition("/")[0] for member in members if "/" in member.name}
    if len(roots) != 1 or any("/" not in member.name for member in members):
        return {member.name: member for member in members}
    return {member.name.partition("/")[2]: member for member in members}
