"""From the bytes of an inference request to arrays that the model takes, all of it checked."""

from __future__ import annotations

import dataclasses

from torchship.errors import InputError
from torchship.serve.refusal import Refusal, from_error
from torchship.serve.v2.message import Buffer, Input, Message, Output, parse_message
from torchship.serve.v2.tensors import TensorReader
from torchship.signature import Signature
from torchship.signature.check import check_names
from torchship.targets import Array


@dataclasses.dataclass(slots=True)
class Wanted:
    """An output that the client asked for: its place in the signature, and whether as bytes."""

    index: int
    binary: bool


@dataclasses.dataclass(slots=True)
class Inference:
    """A request that was found right. ``timeout``: seconds, where the client gave one."""

    arrays: list[Array]
    outputs: list[Wanted]
    id: str
    timeout: float | None


class RequestReader:
    """Reads requests for one signature, for a single thread."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._tensors = [TensorReader(signature, spec) for spec in signature.inputs]
        self._names = [spec.name for spec in signature.inputs]
        self._outputs = {spec.name: index for index, spec in enumerate(signature.outputs)}
        self._all = [[Wanted(index, binary) for index in range(len(self._outputs))] for binary in (False, True)]

    def read(self, body: Buffer, head_length: int | None) -> Inference:
        """Read a request; ``head_length`` is that of the JSON where bytes follow it.

        Raises:
            Refusal: 400, with a sentence that says what is wrong, and where.
        """
        view = memoryview(body)
        if head_length is None:
            message, tail = parse_message(body), view[:0]
        elif head_length == 0:
            return self._raw(view)
        elif head_length > len(view):
            raise Refusal(400, f"the JSON is said to be {head_length} bytes long, the whole body is {len(view)}")
        else:
            message, tail = parse_message(view[:head_length]), view[head_length:]
        arrays = self._arrays(message, tail)
        return Inference(arrays, self._wanted(message), message.id, _timeout(message))

    def _raw(self, body: memoryview) -> Inference:
        """The body is the one input's bytes, and nothing else; the batch follows from their number."""
        if len(self._tensors) != 1:
            raise Refusal(400, f"the model takes {len(self._tensors)} inputs: say which is which in JSON")
        array = self._tensors[0].from_all(body)
        return Inference([array], self._all[True], "", None)

    def _arrays(self, message: Message, tail: memoryview) -> list[Array]:
        if message.parameters.sequence_id:
            raise Refusal(400, "the model keeps no state, so it has no sequences: leave sequence_id out")
        tails = _tails(message.inputs, tail)
        sizes: dict[str, int] = {}
        arrays = []
        for reader, given in zip(self._tensors, self._in_order(message.inputs), strict=True):
            arrays.append(reader.read(given, tails.get(given.name), sizes))
        return arrays

    def _in_order(self, inputs: list[Input]) -> list[Input]:
        if len(inputs) == len(self._names) == 1 and inputs[0].name == self._names[0]:
            return inputs
        given = {one.name: one for one in inputs}
        if len(given) != len(inputs):
            raise Refusal(400, "an input is there twice")
        try:
            check_names(self._signature, given)
        except InputError as error:
            raise from_error(error) from error
        return [given[name] for name in self._names]

    def _wanted(self, message: Message) -> list[Wanted]:
        binary = message.parameters.binary_data_output
        if not message.outputs:
            return self._all[binary]
        return [self._one_wanted(output, binary) for output in message.outputs]

    def _one_wanted(self, output: Output, binary: bool) -> Wanted:
        index = self._outputs.get(output.name)
        if index is None:
            raise Refusal(400, f"unknown output {output.name!r}; the model gives: {', '.join(self._outputs)}")
        if output.parameters.classification or output.parameters.shared_memory_region is not None:
            raise Refusal(400, f"output {output.name}: classification and shared memory are not offered")
        own = output.parameters.binary_data
        return Wanted(index, binary if own is None else own)


def _timeout(message: Message) -> float | None:
    timeout = message.parameters.timeout
    if timeout is not None and timeout <= 0:
        raise Refusal(400, f"the timeout is {timeout} microseconds; it must be more than none")
    return None if timeout is None else timeout / 1e6


def _tails(inputs: list[Input], tail: memoryview) -> dict[str, memoryview]:
    """Cut what follows the JSON into the inputs' bytes, in the request's order."""
    tails: dict[str, memoryview] = {}
    at = 0
    for one in inputs:
        if one.parameters.shared_memory_region is not None:
            raise Refusal(400, f"input {one.name}: shared memory is not offered")
        size = one.parameters.binary_data_size
        if size is None:
            continue
        if size < 0 or size > len(tail) - at:
            raise Refusal(400, f"input {one.name} is said to have {size} bytes, {len(tail) - at} follow the JSON")
        tails[one.name] = tail[at : at + size]
        at += size
    if at != len(tail):
        raise Refusal(400, f"{len(tail)} bytes follow the JSON, the inputs account for {at}")
    return tails
