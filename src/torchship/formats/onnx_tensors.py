"""Reads a TensorProto of ONNX: its name, where its numbers lie, and whether as many are there as it declares."""

from __future__ import annotations

import dataclasses
import math

from torchship.errors import MalformedError
from torchship.formats.protobuf import BYTES, VARINT, fields, packed, text

_RAW = 9
_NUMBERS = {4: 4, 5: 1, 6: 1, 7: 1, 10: 8, 11: 1}  # field: the fewest bytes that one element takes in it
_WIDTHS = {
    1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 14: 8, 15: 16, 16: 2, 17: 1, 18: 1,
    19: 1, 20: 1, 24: 1,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class External:
    """Data of a tensor that lies in another file: its path below the model's folder, and the place in it."""

    location: str
    offset: int
    length: int | None


@dataclasses.dataclass(frozen=True)
class TensorData:
    """A tensor. ``complaint``: what is wrong with its numbers."""

    name: str
    external: External | None = None
    complaint: str | None = None


def read_tensor(tensor: memoryview) -> TensorData:
    """Read a tensor; raises MalformedError."""
    name, dtype, elsewhere = "", 0, False
    dims: list[int] = []
    entries: dict[str, str] = {}
    held: dict[int, int] = {}
    for number, wire, value, payload in fields(tensor):
        if number == 1:
            dims += packed(wire, value, payload)
        elif number == 2 and wire == VARINT:
            dtype = value
        elif number == 8 and wire == BYTES:
            name = text(payload)
        elif number == 13 and wire == BYTES:
            entries.update([_entry(payload)])
        elif number == 14 and wire == VARINT:
            elsewhere = value == 1
        elif number in (*_NUMBERS, _RAW):
            held[number] = held.get(number, 0) + max(len(payload), 1)
    count = math.prod(dims)
    if elsewhere or entries:
        external = _external(entries, name)
        return TensorData(name, external, _too_much(name, count * _WIDTHS.get(dtype, 0), external.length))
    return TensorData(name, complaint=_lacking(name, dtype, count, held))


def _too_much(name: str, wanted: int, held: int | None) -> str | None:
    if held is None or wanted <= held:
        return None
    return f"declares {wanted} bytes for {name!r} and keeps {held} elsewhere"


def _lacking(name: str, dtype: int, count: int, held: dict[int, int]) -> str | None:
    """Strings (8) and the small types, of which two or four share a byte, are only asked to be there."""
    if count and not held:
        return f"declares {count} numbers for {name!r} and holds none"
    if _RAW in held and dtype in _WIDTHS and held[_RAW] != max(count * _WIDTHS[dtype], 1):
        return f"declares {count * _WIDTHS[dtype]} bytes for {name!r} and holds {held[_RAW]}"
    most = sum(size // _NUMBERS[number] for number, size in held.items() if number in _NUMBERS)
    if _RAW not in held and dtype != 8 and count > 4 * max(most, 1):
        return f"declares {count} numbers for {name!r} and holds {most} at most"
    return None


def _entry(payload: memoryview) -> tuple[str, str]:
    found = {number: text(value) for number, wire, _, value in fields(payload) if wire == BYTES}
    return found.get(1, ""), found.get(2, "")


def _external(entries: dict[str, str], name: str) -> External:
    try:
        length = int(entries["length"]) if "length" in entries else None
        external = External(entries["location"], int(entries.get("offset", "0")), length)
    except (KeyError, ValueError) as error:
        raise MalformedError(f"the tensor {name!r} keeps its data elsewhere, and doesn't say where") from error
    if external.offset < 0 or (length or 0) < 0:
        raise MalformedError(f"the tensor {name!r} keeps its data at a negative place")
    return external
