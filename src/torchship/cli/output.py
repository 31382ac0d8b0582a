"""What a command prints: one JSON object on stdout with ``--json``, words for a person without."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from torchship.errors import TorchshipError

if TYPE_CHECKING:
    from rich.console import Console


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
            sys.stdout.write(msgspec.json.encode(value, enc_hook=_plain).decode() + "\n")
            sys.stdout.flush()

    def error(self, error: TorchshipError) -> None:
        """Tell an error on stderr; with ``--json`` also as the one object on stdout."""
        sys.stderr.write(f"torchship: {error}\n")
        if self.json:
            told = {"error": error.what, "where": error.where, "hint": error.hint}
            self.result({key: value for key, value in told.items() if value is not None})


def _plain(value: Any) -> Any:
    """Numpy's numbers and arrays, as lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise NotImplementedError(f"{type(value)} has no JSON form")
