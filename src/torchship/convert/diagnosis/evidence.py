"""What a failure left behind: its messages, and the user's line and the operator wherever they can be found.

They hide in several places, told here from the surest on: the frames of the exception itself (torch.export runs the
user's Python), what the message quotes (TorchScript, dynamo), the graph's node that a frame was working on (the ONNX
exporter, Inductor), and the captured graph, asked for the node or the operator that the message names (OpenVINO and
the runtimes, which are C++).
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import dropwhile
from types import FrameType
from typing import Any

from torchship.convert.diagnosis.compiling import compiled_line
from torchship.convert.diagnosis.graph import Graph
from torchship.convert.diagnosis.operator import operator_in, operator_name, operator_written
from torchship.convert.diagnosis.witness import Event, heard_by
from torchship.models.places import Kind, Place, deepest, quoted

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST = 60_000


@dataclass(frozen=True)
class Raised:
    """One exception of the chain."""

    kind: str
    message: str


@dataclass(frozen=True)
class Evidence:
    """All that is known of a failure. ``chain``: what was raised, outermost first; ``event``: what led to it."""

    chain: tuple[Raised, ...]
    place: Place | None = None
    op: str | None = None
    event: Event | None = None
    target: str = ""

    @property
    def code(self) -> str:
        """The user's own line; empty where it isn't known."""
        return self.place.code if self.place is not None else ""

    @property
    def text(self) -> str:
        """All messages."""
        return "\n".join(each.message for each in self.chain)


def read(error: BaseException, graph: Graph | None = None, target: str = "") -> Evidence:
    """Gather the evidence of ``error``; ``graph`` is the captured program, where there is one."""
    errors = list(_chain(error))
    chain = tuple(Raised(_kind(each), clean(str(each))) for each in errors)
    frames = [frame for each in errors for frame, _ in traceback.walk_tb(each.__traceback__)]
    lines = [line for each in errors for _, line in traceback.walk_tb(each.__traceback__)]
    told = "\n".join(each.message for each in chain)
    node_places, node_op = _node(frames)
    named = (graph or Graph()).find(told)
    groups = [_places(frames, lines), quoted(told), node_places, named.places, compiled_line(frames)]
    place = _best(groups)
    event = heard_by(error).explain(told)
    if event is not None and (event.final or place is None or place.kind < Kind.USER):
        place = event.place
    inside = frames[_inside(frames, place) :]
    op = (event and event.op) or named.op or node_op or operator_in(inside) or operator_written(told)
    return Evidence(chain, place, op, event, target)


def clean(text: str) -> str:
    """Without colours, and not endless: some messages hold the model's whole graph."""
    return _ANSI.sub("", text)[:_LONGEST]


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)


def _kind(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")


def _places(frames: Sequence[FrameType], lines: Sequence[int]) -> list[Place]:
    """From the converter's first frame on: what comes before called it, and is no part of the model."""
    places = [
        Place(frame.f_code.co_filename, line, frame.f_code.co_name) for frame, line in zip(frames, lines, strict=True)
    ]
    return list(dropwhile(lambda place: place.kind is not Kind.MACHINERY, places))


def _best(groups: Sequence[Sequence[Place]]) -> Place | None:
    """The deepest place of the group that says most to the user; the surer group where two say the same."""
    found = [place for group in groups if (place := deepest(group)) is not None]
    return max(found, key=lambda place: place.kind, default=None)


def _inside(frames: Sequence[FrameType], place: Place | None) -> int:
    """Where the frames inside ``place`` begin."""
    if place is None or place.kind is Kind.MACHINERY:
        return 0
    codes = [(frame.f_code.co_filename, frame.f_code.co_name) for frame in frames]
    return max((i + 1 for i, code in enumerate(codes) if code == (place.file, place.function)), default=0)


def _node(frames: Sequence[FrameType]) -> tuple[list[Place], str | None]:
    """The graph's node that the deepest frame with one was working on: its place and operator."""
    for frame in reversed(frames):
        for value in list(frame.f_locals.values()):
            if type(value).__module__ == "torch.fx.node" and type(value).__name__ == "Node" and _calls(value):
                return quoted(str(value.meta.get("stack_trace", ""))), operator_name(value.target)
    return [], None


def _calls(node: Any) -> bool:
    return bool(node.op == "call_function" and node.meta.get("stack_trace"))
