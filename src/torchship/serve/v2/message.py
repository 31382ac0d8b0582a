"""The JSON of an inference request, as msgspec reads it. Members that aren't named here are passed over."""

from __future__ import annotations

import secrets
from collections import Counter
from typing import Any

import msgspec
import simdjson

from torchship.serve.refusal import Refusal

Buffer = bytes | bytearray | memoryview


class InputParameters(msgspec.Struct, frozen=True):
    """``binary_data_size``: bytes of this tensor behind the JSON."""

    binary_data_size: int | None = None
    shared_memory_region: str | None = None


class Input(msgspec.Struct):
    """One tensor; ``data`` is left as it came."""

    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    parameters: InputParameters = InputParameters()


class OutputParameters(msgspec.Struct, frozen=True):
    """``binary_data``: whether this output is wanted as bytes behind the JSON."""

    binary_data: bool | None = None
    classification: int = 0
    shared_memory_region: str | None = None


class Output(msgspec.Struct):
    """An output that is asked for."""

    name: str
    parameters: OutputParameters = OutputParameters()


class Parameters(msgspec.Struct, frozen=True):
    """``timeout``: microseconds, as Triton has it. ``sequence_id``: only stateful models have sequences."""

    binary_data_output: bool = False
    timeout: int | None = None
    sequence_id: int | str = 0


class Message(msgspec.Struct):
    """An inference request."""

    inputs: list[Input]
    outputs: list[Output] = []
    id: str = ""
    parameters: Parameters = Parameters()


_decode = msgspec.json.Decoder(Message).decode
_DATA = b'"data"'
_BACKSLASH = 0x5C
_STAND_IN = b'["%b"]' % secrets.token_hex(16).encode()


def parse_message(text: bytes) -> Message:
    """Read the JSON of a request.

    Raises:
        Refusal: 400; says where it isn't JSON, or isn't an inference request.
    """
    message = _parse_around_data(text)
    if message is not None:
        return message
    try:
        message = _decode(text)
    except msgspec.ValidationError as error:
        raise Refusal(400, f"this isn't an inference request: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, f"the body isn't JSON: {error}") from error
    except RecursionError as error:
        raise Refusal(400, "the JSON is nested too deeply") from error
    _check_unique(text, message.inputs)
    return message


def _parse_around_data(text: bytes) -> Message | None:
    """Read the JSON without the numbers in it, which are most of it; None where it must be read as a whole.

    Flat arrays behind ``"data"`` are cut out, and something stands in for each. The bytes of that name can't be a piece
    of a string, in which quotes are escaped. It has worked out only if each stand-in came to be the data of an input.
    """
    cuts = _cut(text)
    if not cuts:
        return None
    skeleton, pieces = cuts
    try:
        message = _decode(skeleton)
        _check_unique(skeleton, message.inputs)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Refusal):
        return None  # read as a whole, it is refused with its own places
    waiting = iter(pieces)
    for one in message.inputs:
        if one.data is not msgspec.UNSET:
            if bytes(one.data) != _STAND_IN:
                return None
            one.data = msgspec.Raw(next(waiting))
    return message if next(waiting, None) is None else None


def _cut(text: bytes) -> tuple[bytes, list[bytes]] | None:
    kept: list[bytes] = []
    pieces: list[bytes] = []
    at = 0
    name = text.find(_DATA)
    while name >= 0:
        start = text.find(b"[", name, name + 16)
        stop = text.find(b"]", start) + 1
        if start < 0 or not stop or text[name + 6 : start].strip(b" \t\r\n") != b":" or text[name - 1] == _BACKSLASH:
            return None
        piece = text[start:stop]
        if piece.find(b'"') >= 0 or piece.rfind(b"[") > 0:
            return None
        kept += (text[at:start], _STAND_IN)
        pieces.append(piece)
        at = stop
        name = text.find(_DATA, at)
    kept.append(text[at:])
    return b"".join(kept), pieces


def _check_unique(text: bytes, inputs: list[Input]) -> None:
    """Refuse members that are there twice, of which readers take one or the other.

    Names are counted, which can only make suspicious, as a string may hold one too; then the document is looked
    through.
    """
    count = text.count
    if (
        count(b'"data"') <= len(inputs)
        and count(b'"shape"') <= len(inputs)
        and count(b'"datatype"') <= len(inputs)
        and count(b'"inputs"') == 1
        and count(b'"outputs"') <= 1
        and count(b'"id"') <= 1
    ):
        return
    try:
        document: Any = simdjson.Parser().parse(text)
        names = [list(part.keys()) for part in (document, *document["inputs"])]
    except (ValueError, RuntimeError) as error:
        raise Refusal(400, f"the body isn't JSON: {error}") from error
    for found in names:
        if len(set(found)) < len(found):
            twice, _ = Counter(found).most_common(1)[0]
            raise Refusal(400, f"the member {twice[:100]!r} is there twice")
