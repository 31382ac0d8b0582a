"""Walks protobuf's wire format without a schema, and without believing the lengths in it.

See protobuf.dev/programming-guides/encoding. A message is a run of fields: a number, a wire type, and a payload.
"""

from __future__ import annotations

from collections.abc import Iterator

from torchship.errors import MalformedError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}

Field = tuple[int, int, int, memoryview]
"""Number, wire type, the value of a varint (0 for the rest), the payload (empty for a varint)."""


def fields(message: memoryview) -> Iterator[Field]:
    """Give the fields of ``message`` in their order; raises MalformedError."""
    at, end = 0, len(message)
    empty = message[:0]
    while at < end:
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise MalformedError("it is no protobuf message: a field has the number 0")
        if wire == VARINT:
            value, at = _varint(message, at)
            yield number, wire, value, empty
            continue
        if wire == BYTES:
            length, at = _varint(message, at)
        elif wire in _FIXED:
            length = _FIXED[wire]
        else:
            raise MalformedError(f"it is no protobuf message: there is no wire type {wire}")
        if length > end - at:
            raise MalformedError("the protobuf message is cut short")
        yield number, wire, 0, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise MalformedError("the protobuf message is cut short, or a number in it is too long")


def text(payload: memoryview) -> str:
    """Decode a string; raises MalformedError."""
    try:
        return bytes(payload).decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("a string in the protobuf message is not UTF-8") from error


def packed(wire: int, value: int, payload: memoryview) -> list[int]:
    """Give the numbers of a repeated varint field, which may come one by one or packed."""
    if wire == VARINT:
        return [value]
    numbers, at = [], 0
    while at < len(payload):
        number, at = _varint(payload, at)
        numbers.append(number)
    return numbers
