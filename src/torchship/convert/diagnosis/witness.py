"""Listens while torch.export fixes sizes and meets numbers that depend on values, and notes the user's line for each.

The error that torch.export raises in the end names the dim and the number, but not the line; its own log does, as it
happens, and a listener of that log is still inside the user's ``forward``.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType

from torchship.convert.diagnosis.operator import operator_in
from torchship.models.places import Place, deepest

_LOGGER = "torch.fx.experimental.symbolic_shapes"
_NOTED = "_torchship_witness"
_CREATED = re.compile(r"create_symbol (\w+) = \S+ for (.+?) \[")
_FIXED = re.compile(r"set_replacement (\w+) = (\d+) ")
_GUARD = re.compile(r"eval (.+) \[guard added\]")
_UNBACKED = re.compile(r"create_unbacked_\w+ (\w+) \[")
_CONSTANT = re.compile(r"specialized it to be a constant \((\d+)\)|was inferred to be a constant \((\d+)\)")
_DEPENDENT = re.compile(r"data-dependent expression (.+?) \(unhinted")
_SIZES = re.compile(r"(L\['\w+'\](?:\[\d+\])*\.size\(\)\[\d+\])")
_MOST = 2000


@dataclass(frozen=True)
class Event:
    """What was decided about a symbol, where, and inside which operator."""

    symbol: str
    told: str
    place: Place | None
    op: str | None
    final: bool = False  # it is the failure's own place, and not only what led to it


@dataclass
class Witness:
    """``sources``: symbol to the size that it stands for; ``fixed``, ``guards`` and ``born`` in their order."""

    sources: dict[str, str] = field(default_factory=dict)
    fixed: list[Event] = field(default_factory=list)
    guards: list[Event] = field(default_factory=list)
    born: list[Event] = field(default_factory=list)

    def hear(self, message: str) -> None:
        """Take a line of the log in; called from within the user's ``forward``."""
        if found := _CREATED.search(message):
            self.sources[found[1]] = found[2]
        elif found := _FIXED.search(message):
            self._note(self.fixed, found[1], found[2])
        elif found := _GUARD.search(message):
            self._note(self.guards, "", found[1])
        elif found := _UNBACKED.search(message):
            self._note(self.born, found[1], "")

    def explain(self, message: str) -> Event | None:
        """The event that made torch.export say ``message`` in the end."""
        if found := _CONSTANT.search(message):
            size = found[1] or found[2]
            return next((replace(each, final=True) for each in self.fixed if each.told == size), None)
        if found := _DEPENDENT.search(message):
            symbols = set(re.findall(r"\bz?u[f]?\d+\b", found[1]))
            return next((each for each in self.born if each.symbol in symbols), None)
        if sizes := _SIZES.findall(message):
            symbols = {symbol for symbol, source in self.sources.items() if source in sizes}
            about = (each for each in self.guards if symbols & set(re.findall(r"\bs\d+\b", each.told)))
            return next((replace(each, final=True) for each in about), None)
        return None

    def _note(self, events: list[Event], symbol: str, told: str) -> None:
        if len(events) < _MOST:
            place, op = _here()
            events.append(Event(symbol, told, place, op))


def _here() -> tuple[Place | None, str | None]:
    """The deepest line of the user's that is running, and the first operator inside it."""
    frames: list[FrameType] = []
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    frames.reverse()
    places = [Place(each.f_code.co_filename, each.f_lineno, each.f_code.co_name) for each in frames]
    place = deepest(places)
    inside = frames[len(places) - places[::-1].index(place) :] if place is not None else frames
    return place, operator_in(inside)


class _Listener(logging.Handler):
    """Keeps what is news to the witness alone; warnings go on to whom they went before."""

    def __init__(self, witness: Witness, before: Sequence[logging.Handler]) -> None:
        super().__init__(logging.INFO)
        self._witness = witness
        self._before = tuple(before)

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.WARNING:
            self._witness.hear(record.getMessage())
            return
        for handler in self._before:
            handler.handle(record)


@contextmanager
def witnessed() -> Iterator[Witness]:
    """Listen while ``torch.export`` runs; an exception that leaves carries what was heard, for ``read``."""
    logger, witness = logging.getLogger(_LOGGER), Witness()
    level, propagate, handlers = logger.level, logger.propagate, logger.handlers
    logger.handlers = [_Listener(witness, handlers or logging.getLogger("torch").handlers)]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield witness
    except Exception as error:
        setattr(error, _NOTED, witness)
        raise
    finally:
        logger.handlers = handlers
        logger.setLevel(level)
        logger.propagate = propagate


def heard_by(error: BaseException) -> Witness:
    """What was heard before ``error`` was raised; an empty Witness where nobody listened."""
    noted = getattr(error, _NOTED, None)
    return noted if isinstance(noted, Witness) else Witness()
