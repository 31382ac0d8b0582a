"""What can go wrong, as one tree.

::

    TorchshipError            exit 1: anything else
    ├── UsageError            exit 2: the command, an argument or a named file is not there or not right
    ├── RefusedError          exit 3: refused, nothing of it was used
    │   ├── UnsafeError           opening it would run code or reach outside its folder
    │   ├── TamperedError         a bundle's file is missing, added or changed, or a signature fails
    │   ├── MalformedError        not the format that it claims to be, or cut short
    │   └── InputError            an input that doesn't fit the model's signature
    ├── ConstraintError       exit 4: nothing meets the asked-for constraints, or no target could be made
    ├── SourceError           exit 1: the user's model could not be opened, built or run
    ├── CaptureError          exit 1: the model could not be captured in a form
    ├── ConversionError       exit 1: a converter failed
    ├── WorkerError           exit 1: a child process crashed, hung or ran out of memory
    ├── UnavailableError      exit 1: a package is missing; the hint is the line that brings it
    └── StorageError          exit 1: no space, no permission, a read-only folder

Each says what is wrong, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "CaptureError",
    "ConstraintError",
    "ConversionError",
    "InputError",
    "MalformedError",
    "RefusedError",
    "SourceError",
    "StorageError",
    "TamperedError",
    "TorchshipError",
    "UnavailableError",
    "UnsafeError",
    "UsageError",
    "WorkerError",
]


class TorchshipError(Exception):
    """The root. ``what`` is one sentence, ``where`` a place in the user's terms, ``hint`` what to do.

    ``op`` names the operator at fault where it can be told; ``artifacts`` are the rows of ``ship``.
    """

    exit_status = 1

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None, op: str | None = None) -> None:
        super().__init__(what, where, hint)
        self.what = what
        self.where = where
        self.hint = hint
        self.op = op
        self.artifacts: Sequence[object] = ()

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  at: {self.where}")
        if self.hint:
            lines.append(f"  do: {self.hint}")
        return "\n".join(lines)


class UsageError(TorchshipError):
    """A command, an argument or a named file is not there or not right."""

    exit_status = 2


class RefusedError(TorchshipError):
    """Refused: nothing of the file or input was used."""

    exit_status = 3


class UnsafeError(RefusedError):
    """Opening it would run code or reach outside its folder."""


class TamperedError(RefusedError):
    """A bundle's file is missing, added or changed, or its signature fails."""


class MalformedError(RefusedError):
    """Not the format that it claims to be, or cut short."""


class InputError(RefusedError):
    """An input that doesn't fit the model's signature."""


class ConstraintError(TorchshipError):
    """Nothing meets the asked-for constraints, or no target could be made."""

    exit_status = 4


class SourceError(TorchshipError):
    """The user's model could not be opened, built or run."""


class CaptureError(TorchshipError):
    """The model could not be captured in a form."""


class ConversionError(CaptureError):
    """A converter failed on a form that was captured."""


class WorkerError(TorchshipError):
    """A child process crashed, hung, or ran out of memory. ``log`` is the tail of what it printed."""

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None, log: str = "") -> None:
        super().__init__(what, where=where, hint=hint)
        self.log = log


class UnavailableError(TorchshipError):
    """A package is missing; the hint is the line that brings it."""


class StorageError(TorchshipError):
    """No space, no permission, or a read-only folder."""
