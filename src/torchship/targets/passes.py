"""What makes a smaller or quicker artifact of a right one, in its own format: one file each, in ``NAME/passes/``.

A pass offers itself as ``PASS``; it is found by its file's name, which is also what ``--quantize`` calls it
(``int8_dynamic`` is ``int8-dynamic``), and the precision of the variant that it makes. The package says in
``gaining()`` which of them make a host like this one quicker.
"""

from __future__ import annotations

import pkgutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

import msgspec
import numpy as np

from torchship.bundle.artifact import Artifact, Variant
from torchship.errors import ConversionError
from torchship.targets.registry import known, part_of
from torchship.targets.runner import Array, Needs

_PASSES = "passes"  # the folder of a target's


class Work(msgspec.Struct, frozen=True):
    """What a pass starts from. ``folder``: the right artifact's; ``calibration``: typical inputs, where there are any.

    ``kept``: layers that are to stay as they are, by the format's own names.
    """

    source: Artifact
    folder: Path
    calibration: Calibration | None = None
    kept: tuple[str, ...] = ()

    @property
    def main(self) -> Path:
        """The file of the artifact that is started from."""
        return self.folder / self.source.main

    @property
    def typical(self) -> Calibration:
        """The calibration data.

        Raises:
            ConversionError: there is none.
        """
        if self.calibration is None:
            raise ConversionError(
                "static quantisation needs typical inputs, and none were given",
                hint="--calibration F (an .npz with an array per input, or file.py:NAME), 'calibration' in the source "
                "dict; or --quantize int8-dynamic, which needs none",
            )
        return self.calibration

    def named(self, row: Sequence[Array]) -> dict[str, Array]:
        """A row of typical inputs by the runtime's own names; without those that the graph doesn't use."""
        return {name: row[place] for place, name in enumerate(self.source.inputs) if name}


class Pass(Protocol):
    """Artifact to artifact. ``needs``: modules that it imports, with the extra that brings them."""

    needs: Needs

    def apply(self, work: Work, variant: Variant, out: Path) -> Artifact:
        """Write the new artifact into ``out``.

        Raises:
            ConversionError: there is nothing in it for this pass to do.
        """
        ...


@runtime_checkable
class Layered(Pass, Protocol):
    """One that can leave single layers as they are."""

    def sensitive(self, work: Work, seconds: float) -> tuple[str, ...]:
        """The layers that it touches, by how much the answers suffer, the worst first; within ``seconds`` or so."""
        ...


class Calibration:
    """Typical inputs, row by row, as the reference keeps them: ``ROW.PLACE`` in an ``.npz``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self, most: int | None = None) -> Iterator[list[Array]]:
        """Flat arrays in the signature's order, one call after the other."""
        with np.load(self._path, allow_pickle=False) as arrays:
            places = [tuple(map(int, name.split("."))) for name in arrays.files]
            inputs = 1 + max(place for _, place in places)
            rows = 1 + max(row for row, _ in places)
            for row in range(rows if most is None else min(rows, most)):
                yield [arrays[f"{row}.{place}"] for place in range(inputs)]


def pass_names(target: str) -> tuple[str, ...]:
    """What the target's passes are called; none of them is imported."""
    files = pkgutil.iter_modules(part_of(target, _PASSES, "__path__") or ())
    return tuple(info.name.replace("_", "-") for info in files if not info.name.startswith("_"))


def gaining(target: str) -> tuple[str, ...]:
    """Those by which a host like this one computes quicker: what ``--quantize auto`` tries."""
    found = part_of(target, _PASSES, "gaining")
    return cast("tuple[str, ...]", found()) if found is not None else ()


def pass_of(target: str, name: str) -> Pass:
    """The target's pass of that name."""
    return cast(Pass, part_of(target, f"{_PASSES}.{name.replace('-', '_')}", "PASS"))


def check_left(names: Sequence[str], kept: Sequence[str], kinds: Sequence[str]) -> None:
    """Raise ConversionError where a model has no layer (of ``kinds``) to quantise, or where all are to be ``kept``."""
    if not names:
        raise ConversionError(
            f"there is nothing to quantise: the model has no {', '.join(kinds)} with weights",
            hint="leave it as it is: --quantize none",
        )
    if not set(names) - set(kept):
        raise ConversionError("no layer is left to be quantised", hint="--quantize none, or more --max-drop")


def by_loss(names: Sequence[str], lost: Callable[[str], float], seconds: float) -> tuple[str, ...]:
    """``names`` by what is ``lost`` where that layer alone is touched, most first; what time is too short for, last."""
    end = time.monotonic() + seconds
    seen: dict[str, float] = {}
    for name in names:
        if time.monotonic() > end:
            break
        seen[name] = lost(name)
    return tuple(sorted(names, key=lambda name: -seen.get(name, 0.0)))


def layers_told(kept: Sequence[str]) -> str:
    """Which layers were touched, in a few words."""
    return f"in float stayed {', '.join(kept)}" if kept else "all layers"


def every_pass() -> tuple[str, ...]:
    """The names of all targets' passes."""
    return tuple(sorted({name for target in known() for name in pass_names(target)}))


def renamed(work: Work, variant: Variant, **changes: object) -> Artifact:
    """The source's artifact as the one of ``variant``."""
    name = f"{work.source.target}-{variant.label}"
    return msgspec.structs.replace(work.source, name=name, variant=variant, **changes)
