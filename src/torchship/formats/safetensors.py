"""Looks at a safetensors file: its header alone (github.com/safetensors/safetensors, "Format")."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from torchship.errors import MalformedError
from torchship.formats.findings import Findings, Tensor

KIND = "safetensors"
_MAX_HEADER = 100_000_000  # bytes, the format's own bound
_DTYPES = {
    "BOOL": ("bool", 1), "U8": ("uint8", 1), "I8": ("int8", 1), "U16": ("uint16", 2), "I16": ("int16", 2),
    "U32": ("uint32", 4), "I32": ("int32", 4), "U64": ("uint64", 8), "I64": ("int64", 8), "F16": ("float16", 2),
    "BF16": ("bfloat16", 2), "F32": ("float32", 4), "F64": ("float64", 8), "C64": ("complex64", 8),
    "F8_E4M3": ("float8_e4m3", 1), "F8_E5M2": ("float8_e5m2", 1), "F8_E8M0": ("float8_e8m0", 1),
}  # fmt: skip


def claims(raw: memoryview) -> bool:
    """Whether a file begins with a header's length and a brace."""
    return len(raw) > 8 and raw[8] == ord("{") and int.from_bytes(raw[:8], "little") <= min(len(raw), _MAX_HEADER)


def look(raw: memoryview) -> Findings:
    """Look at the header.

    Raises:
        MalformedError: tensors overlap, leave holes or the file, or a key stands twice.
    """
    length = int.from_bytes(raw[:8], "little")
    text = bytes(raw[8 : 8 + length])
    header = _header(text)
    tensors = {name: _entry(name, entry) for name, entry in header.items() if name != "__metadata__"}
    if any(text.count(msgspec.json.encode(name) + b":") > 1 for name in list(header)[:10_000]):
        raise MalformedError("a key stands twice in the header")
    at = 0
    for name, (_, start, end) in sorted(tensors.items(), key=lambda item: item[1][1:]):
        if start != at:
            raise MalformedError(f"the tensor {name!r} overlaps another, or leaves a hole before it")
        at = end
    if 8 + length + at != len(raw):
        raise MalformedError(f"its tensors take {at} bytes, the file holds {len(raw) - 8 - length}")
    return Findings(KIND, tensors=tuple(tensor for tensor, _, _ in tensors.values()))


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError(f"its header is no JSON: {error}") from error
    if not isinstance(header, dict):
        raise MalformedError("its header is no JSON object")
    return header


def _entry(name: str, entry: Any) -> tuple[Tensor, int, int]:
    try:
        dtype, width = _DTYPES[entry["dtype"]]
        shape, (start, end) = tuple(entry["shape"]), entry["data_offsets"]
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedError(f"the header says nothing sensible of the tensor {name!r}") from error
    if not all(isinstance(size, int) and size >= 0 for size in (*shape, start, end)):
        raise MalformedError(f"the tensor {name!r} has a negative or fractional size")
    if end - start != math.prod(shape) * width:
        raise MalformedError(f"the tensor {name!r} of {dtype} {list(shape)} can't have {end - start} bytes")
    return Tensor(name, dtype, shape), start, end
