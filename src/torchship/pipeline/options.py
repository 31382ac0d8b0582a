"""What the user asked ``ship`` for."""

from __future__ import annotations

from pathlib import Path

import msgspec

from torchship.errors import UsageError
from torchship.measure.choose import Constraints, Preference
from torchship.models.source import PythonObject


class PruneSpec(msgspec.Struct, frozen=True):
    """By which method, and what share of the weights or channels."""

    method: str
    share: float

    @property
    def record(self) -> str:
        """As part of a name."""
        return f"{self.method}{self.share:g}"


class ShipOptions(msgspec.Struct, frozen=True):
    """``targets``: the LIST of the contract. ``timeout``: seconds for one step of one worker. ``jobs``: at once.

    ``quantize``: names of passes, or ``auto`` alone; empty for none.
    """

    output: Path
    targets: str = "server"
    evaluate: Path | PythonObject | None = None
    constraints: Constraints = Constraints()
    timeout: float = 600.0
    jobs: int = 2
    quantize: tuple[str, ...] = ()
    prune: PruneSpec | None = None
    train: Path | PythonObject | None = None
    calibration: Path | PythonObject | None = None


def prune_option(given: str | None) -> PruneSpec | None:
    """Read ``--prune``: ``0.5`` (whole channels), ``unstructured:0.9``, or a pattern such as ``2:4``.

    Raises:
        UsageError: something else, or a share that leaves all or nothing.
    """
    if given is None:
        return None
    method, colon, rest = given.partition(":")
    if not colon:
        method, rest = "structured", given
    elif method.isdigit() and rest == "4" and 0 < int(method) < 4:
        method, rest = "pattern", str(1 - int(method) / 4)
    try:
        share = float(rest)
    except ValueError:
        share = -1.0
    if method not in ("structured", "unstructured", "pattern") or not 0 < share < 1:
        raise UsageError(
            f"--prune {given} is no share between 0 and 1",
            hint="0.5 takes half of the channels; unstructured:0.9 sets weights to 0; 2:4 leaves two of every four",
        )
    return PruneSpec(method, share)


def preference_option(given: str) -> Preference:
    """Read ``prefer``.

    Raises:
        UsageError: an unknown word; lists the known.
    """
    try:
        return Preference(given)
    except ValueError:
        known = ", ".join(each.value for each in Preference)
        raise UsageError(f"prefer is {given!r}", hint=f"one of: {known}") from None


def quantize_option(given: str) -> tuple[str, ...]:
    """Read ``--quantize``: ``none``, ``auto``, or names of passes with commas between.

    Raises:
        UsageError: an unknown name; lists the known.
    """
    from torchship.targets.passes import every_pass

    names = tuple(dict.fromkeys(given.replace(",", " ").split()))
    if names in (("none",), ()):
        return ()
    if unknown := [name for name in names if name != "auto" and name not in every_pass()]:
        raise UsageError(
            f"there is no way to quantise called {unknown[0]!r}", hint=f"known: none, auto, {', '.join(every_pass())}"
        )
    return names
