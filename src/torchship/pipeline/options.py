"""What the user asked ``ship`` for."""

from __future__ import annotations

from pathlib import Path

import msgspec

from torchship.errors import UsageError
from torchship.measure.choose import Constraints, Preference
from torchship.models.source import PythonObject


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
    calibration: Path | PythonObject | None = None


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
