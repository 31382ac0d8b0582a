"""MNIST's four idx files, plain or gzipped: http://yann.lecun.com/exdb/mnist/.

An idx file is two zero bytes, the type's code (8: unsigned byte), the number of dims, each dim as a big-endian
32-bit number, and the data. What a file declares is checked before more than that is read or decompressed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from torchship.digits.data import CLASSES, SIDE, Bytes, Digits, Split
from torchship.errors import MalformedError, StorageError, UsageError

MOST_IMAGES = 1_000_000
_PIECE = 4096
_MOST_INFLATED = 1032  # deflate's best: a stream of n bytes holds at most 1032 n


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_folder(folder: Path) -> Split:
    """The training files to train on, the t10k files held out.

    Raises UsageError where a file is not there, MalformedError with name and byte offset where one is not right.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="--data takes the folder of the four MNIST idx files")
    return Split(_read_part(folder, "train"), _read_part(folder, "t10k"))


def _read_part(folder: Path, part: str) -> Digits:
    image_file = _find(folder, f"{part}-images", "idx3-ubyte")
    label_file = _find(folder, f"{part}-labels", "idx1-ubyte")
    labels = _read(label_file, ())
    if (strange := np.flatnonzero(labels >= CLASSES)).size:
        first = int(strange[0])
        raise _malformed(label_file, 8 + first, f"label {labels[first]}, but digits are 0 to {CLASSES - 1}")
    images = _read(image_file, (SIDE, SIDE))
    if len(images) != len(labels):
        told = f"{len(images):,} images, but {label_file.name} has {len(labels):,} labels"
        raise _malformed(image_file, 4, told)
    return Digits(images, labels)


def _find(folder: Path, stem: str, kind: str) -> Path:
    """Both spellings that go round, ``-idx3-`` and ``.idx3-``, with ``.gz`` or without."""
    names = [f"{stem}{mark}{kind}{end}" for mark in "-." for end in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise UsageError(f"{folder} has no file {names[0]} or {names[1]}", hint="--data needs all four MNIST idx files")


def _read(path: Path, dims: tuple[int, ...]) -> Bytes:
    """The file's array, of the shape ``[count, *dims]``."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            size = path.stat().st_size
            if packed:
                return _parse(path, _Gunzip(path, file), dims, size, at_most=size * _MOST_INFLATED)
            return _parse(path, file, dims, size, at_most=size)
    except OSError as error:
        raise StorageError(f"{path} can't be read: {error.strerror}", hint="check its permissions") from error


def _parse(path: Path, stream: _Stream, dims: tuple[int, ...], file_size: int, at_most: int) -> Bytes:
    count = _read_header(path, stream, dims)
    start = 4 * (2 + len(dims))
    size = count * int(np.prod(dims, dtype=np.int64))
    if start + size > at_most:
        raise _malformed(path, file_size, f"ends here, too early for the {size:,} bytes of data that it declares")
    body = stream.read(size)
    if len(body) < size:
        raise _malformed(path, start + len(body), f"ends here, {size - len(body):,} bytes short of what it declares")
    if stream.read(1):
        raise _malformed(path, start + size, f"goes on here, after the {count:,} that it declares")
    return np.frombuffer(body, np.uint8).reshape(count, *dims)


def _read_header(path: Path, stream: _Stream, dims: tuple[int, ...]) -> int:
    """How many there are. ``dims`` are the further dims that the file must declare."""
    length = 4 * (2 + len(dims))
    header = stream.read(length)
    magic = bytes((0, 0, 8, 1 + len(dims)))
    for offset, (found, right) in enumerate(zip(header, magic, strict=False)):
        if found != right:
            raise _malformed(path, offset, f"the magic number is {header[:4].hex()}, not {magic.hex()}")
    if len(header) < length:
        raise _malformed(path, len(header), f"ends here, inside its header of {length} bytes")
    count, *declared = struct.unpack(f">{1 + len(dims)}I", header[4:])
    for place, (found, right) in enumerate(zip(declared, dims, strict=True)):
        if found != right:
            raise _malformed(path, 8 + 4 * place, f"declares dim {place + 1} as {found}, but MNIST's is {right}")
    if not 0 < count <= MOST_IMAGES:
        raise _malformed(path, 4, f"declares {count:,} items; 1 to {MOST_IMAGES:,} are taken")
    return int(count)


def _malformed(path: Path, offset: int, what: str) -> MalformedError:
    return MalformedError(
        f"{path.name}, byte {offset}: {what}", where=str(path), hint="get the file again: it is not MNIST's idx format"
    )


class _Gunzip:
    """Reads a gzip file of one member, never decompressing more than it is asked for."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._inflate = zlib.decompressobj(wbits=31)
        self._given = 0

    def read(self, size: int, /) -> bytes:
        """Fewer than ``size`` bytes only at the end of the member. Raises MalformedError with the offset."""
        return b"".join(self._pieces(size))

    def _pieces(self, size: int) -> Iterator[bytes]:
        while size and not self._inflate.eof:
            piece = self._next(size)
            size -= len(piece)
            yield piece
        if self._inflate.eof and (self._inflate.unused_data or self._file.read(1)):
            raise self._bad(self._given - len(self._inflate.unused_data), "goes on here, after its end")

    def _next(self, size: int) -> bytes:
        packed = self._inflate.unconsumed_tail
        if not packed:
            packed = self._file.read(_PIECE)
            self._given += len(packed)
        if not packed:
            raise self._bad(self._given, "ends here, but its data goes on")
        try:
            return self._inflate.decompress(packed, size)
        except zlib.error as error:
            raise self._bad(self._given - len(packed), f"damaged here or soon after ({error})") from error

    def _bad(self, offset: int, what: str) -> MalformedError:
        return _malformed(self._path, offset, f"the gzip stream {what}")
