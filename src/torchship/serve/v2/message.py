"""The JSON of an inference request, as msgspec reads it. Members that aren't named here are passed over."""

from __future__ import annotations

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


def parse_message(text: Buffer) -> Message:
    """Read the JSON of a request.

    Raises:
        Refusal: 400; says where it isn't JSON, or isn't an inference request.
    """
    try:
        message = _decode(text)
    except msgspec.ValidationError as error:
        raise Refusal(400, f"this isn't an inference request: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, f"the body isn't JSON: {error}") from error
    except RecursionError as error:
        raise Refusal(400, "the JSON is nested too deeply") from error
    _check_unique(bytes(text), message.inputs)
    return message


def _check_unique(text: bytes, inputs: list[Input]) -> None:
    """Refuse members that are there twice, of which readers take one or the other.

    A request of the plainest form has no quote left for another member. Otherwise names are counted, which can only
    make suspicious, as a string may hold one too; then the document is looked through.
    """
    count = text.count
    if count(b'"') == 2 + 12 * len(inputs) and all(one.data is not msgspec.UNSET for one in inputs):
        return
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
        twice = next((name for name in found if found.count(name) > 1), None)
        if twice is not None:
            raise Refusal(400, f"the member {twice!r} is there twice")
