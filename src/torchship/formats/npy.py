"""Reads ``.npy`` and ``.npz`` without pickle, and without believing the sizes that they declare."""

from __future__ import annotations

import dataclasses
import io
import math
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from torchship.errors import MalformedError, UnsafeError
from torchship.formats import zips

MAGIC = b"\x93NUMPY"
_MAX_HEADER = 10_000  # bytes; numpy's own bound for headers that are safe to evaluate
MAX_MEMBER = 8 << 30


@dataclasses.dataclass(frozen=True)
class Header:
    """What an array file says of itself. ``start``: where its data begins."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    start: int

    @property
    def size(self) -> int:
        """Bytes of the array's data."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: BinaryIO, name: str) -> Header:
    """Read the header at the file's place.

    Raises:
        UnsafeError: the array holds Python objects, which are pickled.
        MalformedError: it is no ``.npy`` header.
    """
    begin = file.tell()
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file, max_header_size=_MAX_HEADER)
    except (ValueError, TypeError, SyntaxError, RecursionError, OverflowError) as error:
        raise MalformedError(f"{name} is no .npy array: {error}", where=name) from error
    if dtype.hasobject:
        raise UnsafeError(f"{name} holds Python objects, which are pickled", where=name, hint="save plain numbers")
    if dtype.names is not None or dtype.kind not in "biufc":
        raise MalformedError(f"{name} holds {dtype}, not plain numbers", where=name)
    if any(not isinstance(size, int) or size < 0 for size in shape):
        raise MalformedError(f"{name} declares the shape {shape}", where=name)
    return Header(dtype, shape, fortran, file.tell() - begin)


def read_array(raw: bytes, name: str) -> npt.NDArray[Any]:
    """Give the array of a ``.npy`` file; raises UnsafeError and MalformedError as ``read_header`` does."""
    header = read_header(io.BytesIO(raw), name)
    if header.size != len(raw) - header.start:
        raise MalformedError(
            f"{name} declares {header.size} bytes of data and holds {len(raw) - header.start}: cut short, or padded",
            where=name,
        )
    flat = np.frombuffer(raw, header.dtype, offset=header.start)
    return flat.reshape(header.shape, order="F" if header.fortran else "C")


def read_arrays(file: BinaryIO, name: str) -> dict[str, npt.NDArray[Any]]:
    """Give the arrays of a ``.npz`` file by their names; raises UnsafeError and MalformedError."""
    return {
        key: read_array(zips.read(file, member, MAX_MEMBER), f"{name}:{key}")
        for key, member in array_members(file, name)
    }


def array_members(file: BinaryIO, name: str) -> list[tuple[str, zips.Member]]:
    """List the arrays of a ``.npz`` file; raises MalformedError where it holds anything else."""
    members = zips.members(file)
    for member in members:
        if not member.name.endswith(".npy"):
            raise MalformedError(f"{name} holds {member.name!r}, which is no .npy array", where=name)
    return [(member.name.removesuffix(".npy"), member) for member in members]
