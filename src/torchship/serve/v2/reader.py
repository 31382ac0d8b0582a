"""From the bytes of an inference request to arrays that the model takes, all of it checked."""

from __future__ import annotations

import dataclasses

from torchship.errors import InputError
from torchship.serve.refusal import Refusal, from_error
from torchship.serve.v2.message import Buffer, Input, Message, Output, parse_message
from torchship.serve.v2.tensors import TensorReader
from torchship.signature import Signature
from torchship.signature.check import check_names, check_relations
from torchship.targets import Array

_MOST_PLANS = 256
_LONGEST_PLAN = 2048


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """An output that the client asked for: its place in the signature, and whether as bytes."""

    index: int
    binary: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """What the JSON of a request asks, its tensors aside. ``timeout``: seconds, where the client gave one."""

    outputs: list[Wanted]
    id: str = ""
    timeout: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where in the bytes behind the JSON a tensor lies, and its shape."""

    reader: TensorReader
    start: int
    stop: int
    shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """A request whose tensors are all bytes: its JSON says where they lie, and nothing of what they hold."""

    question: Question
    places: list[Place]
    size: int


class RequestReader:
    """Reads requests for one signature, for a single thread.

    The JSON of requests whose tensors are bytes is remembered: a client that sends the same shapes sends the same.
    """

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._tensors = [TensorReader(signature, spec) for spec in signature.inputs]
        self._names = [spec.name for spec in signature.inputs]
        self._outputs = {spec.name: index for index, spec in enumerate(signature.outputs)}
        self._all = [[Wanted(index, binary) for index in range(len(self._outputs))] for binary in (False, True)]
        self._plans: dict[bytes, Plan] = {}
        self._related = any(dim.root for dim in signature.dims)

    def read(self, body: Buffer, head_length: int | None) -> tuple[Question, list[Array]]:
        """Read a request; ``head_length`` is that of the JSON where bytes follow it.

        Raises:
            Refusal: 400, with a sentence that says what is wrong, and where.
        """
        if head_length is None:
            message = parse_message(bytes(body))
            return self._question(message), self._arrays(message, memoryview(b""))
        view = memoryview(body)
        if head_length == 0:
            return self._raw(view)
        if head_length > len(view):
            raise Refusal(400, f"the JSON is said to be {head_length} bytes long, the whole body is {len(view)}")
        text, tail = bytes(view[:head_length]), view[head_length:]
        plan = self._plans.get(text)
        if plan is not None and plan.size == len(tail):
            return plan.question, [
                place.reader.from_bytes(tail[place.start : place.stop], place.shape) for place in plan.places
            ]
        message = parse_message(text)
        question, arrays = self._question(message), self._arrays(message, tail)
        self._remember(text, message, question, len(tail))
        return question, arrays

    def _raw(self, body: memoryview) -> tuple[Question, list[Array]]:
        """The body is the one input's bytes, and nothing else; the batch follows from their number."""
        if len(self._tensors) != 1:
            raise Refusal(400, f"the model takes {len(self._tensors)} inputs: say which is which in JSON")
        return Question(self._all[True]), [self._tensors[0].from_all(body)]

    def _remember(self, text: bytes, message: Message, question: Question, size: int) -> None:
        """Of a request that was found right; one with an id of its own won't come again."""
        if message.id or len(text) > _LONGEST_PLAN:
            return
        if any(one.parameters.binary_data_size is None for one in message.inputs):
            return
        stretches = _stretches(message.inputs, size)
        places = [
            Place(reader, *stretches[given.name], tuple(given.shape))
            for reader, given in zip(self._tensors, self._in_order(message.inputs), strict=True)
        ]
        if len(self._plans) >= _MOST_PLANS:
            self._plans.clear()
        self._plans[text] = Plan(question, places, size)

    def _arrays(self, message: Message, tail: memoryview) -> list[Array]:
        stretches = _stretches(message.inputs, len(tail))
        sizes: dict[str, int] = {}
        arrays = []
        for reader, given in zip(self._tensors, self._in_order(message.inputs), strict=True):
            stretch = stretches.get(given.name)
            arrays.append(reader.read(given, tail[slice(*stretch)] if stretch else None, sizes))
        if self._related:
            try:
                check_relations(self._signature, sizes)
            except InputError as error:
                raise from_error(error) from error
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

    def _question(self, message: Message) -> Question:
        parameters = message.parameters
        if parameters.sequence_id:
            raise Refusal(400, "the model keeps no state, so it has no sequences: leave sequence_id out")
        timeout = parameters.timeout
        if timeout is not None and timeout <= 0:
            raise Refusal(400, f"the timeout is {timeout} microseconds; it must be more than none")
        binary = parameters.binary_data_output
        outputs = self._all[binary]
        if message.outputs:
            outputs = [self._wanted(output, binary) for output in message.outputs]
        return Question(outputs, message.id, None if timeout is None else timeout / 1e6)

    def _wanted(self, output: Output, binary: bool) -> Wanted:
        index = self._outputs.get(output.name)
        if index is None:
            raise Refusal(400, f"unknown output {output.name!r}; the model gives: {', '.join(self._outputs)}")
        if output.parameters.classification or output.parameters.shared_memory_region is not None:
            raise Refusal(400, f"output {output.name}: classification and shared memory are not offered")
        own = output.parameters.binary_data
        return Wanted(index, binary if own is None else own)


def _stretches(inputs: list[Input], size: int) -> dict[str, tuple[int, int]]:
    """Where in the ``size`` bytes behind the JSON each input lies that is bytes, in the request's order."""
    stretches: dict[str, tuple[int, int]] = {}
    at = 0
    for one in inputs:
        if one.parameters.shared_memory_region is not None:
            raise Refusal(400, f"input {one.name}: shared memory is not offered")
        own = one.parameters.binary_data_size
        if own is None:
            continue
        if own < 0 or own > size - at:
            raise Refusal(400, f"input {one.name} is said to have {own} bytes, {size - at} follow the JSON")
        stretches[one.name] = (at, at + own)
        at += own
    if at != size:
        raise Refusal(400, f"{size} bytes follow the JSON, the inputs account for {at}")
    return stretches
