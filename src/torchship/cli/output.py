"""What a command prints: one JSON object on stdout with ``--json``, words for a person without."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from torchship.errors import TorchshipError

if TYPE_CHECKING:
    from rich.console import Console

_T = TypeVar("_T")


class Output:
    """Where a command's words go. rich is loaded only when something is shown with it."""

    def __init__(self, json: bool) -> None:
        self.json = json

    @cached_property
    def console(self) -> Console:
        """For people: stdout, or stderr where stdout is kept for JSON."""
        from rich.console import Console

        return Console(stderr=self.json, highlight=False)

    @cached_property
    def err(self) -> Console:
        """For progress and notes: always stderr."""
        from rich.console import Console

        return Console(stderr=True, highlight=False)

    def result(self, value: Any) -> None:
        """Print the one JSON object; ``value`` is anything msgspec encodes. Does nothing without ``--json``."""
        if self.json:
            sys.stdout.write(_encoded(value).decode())
            sys.stdout.flush()

    def write(self, value: Any, path: Path) -> None:
        """Write a JSON object to a file, which appears whole or not at all; raises OSError."""
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            scratch.write_bytes(_encoded(value))
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)

    def note(self, text: str) -> None:
        """Tell something on stderr, in passing."""
        sys.stderr.write(f"torchship: {text}\n")

    def progress(self, steps: Iterable[_T], total: int, doing: str) -> Iterator[_T]:
        """Give ``steps``, with a bar on stderr where that is a terminal."""
        if not sys.stderr.isatty():
            yield from steps
            return
        from rich.progress import Progress

        to_terminal = sys.stdout.isatty()  # then what is printed has to move the bar; elsewhere it must stay on stdout
        with Progress(console=self.err, transient=True, redirect_stdout=to_terminal) as bar:
            yield from bar.track(steps, total, description=doing)

    def error(self, error: TorchshipError) -> None:
        """Tell an error on stderr; with ``--json`` also as the one object on stdout."""
        sys.stderr.write(f"torchship: {error}\n")
        if self.json:
            told: dict[str, Any] = {"error": error.what, "where": error.where, "hint": error.hint}
            told |= {"op": error.op, "artifacts": error.artifacts or None}
            self.result({key: value for key, value in told.items() if value is not None})


def _encoded(value: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=_plain) + b"\n"


def _plain(value: Any) -> Any:
    """Numpy's numbers and arrays, as lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise NotImplementedError(f"{type(value)} has no JSON form")
