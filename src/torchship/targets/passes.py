"""What makes a smaller or quicker artifact of a right one, in its own format: one file each, in ``NAME/passes/``.

A pass offers itself as ``PASS``; it is found by its file's name, which is also what ``--quantize`` calls it
(``int8_dynamic`` is ``int8-dynamic``), and the precision of the variant that it makes. The package says in
``gaining()`` which of them make a host like this one quicker.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import msgspec
import numpy as np

from torchship.bundle.artifact import Artifact, Variant
from torchship.errors import ConversionError
from torchship.targets.registry import known, package_of
from torchship.targets.runner import Array, Needs


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
    package = _package(target)
    files = pkgutil.iter_modules(package.__path__) if package is not None else ()
    return tuple(info.name.replace("_", "-") for info in files if not info.name.startswith("_"))


def gaining(target: str) -> tuple[str, ...]:
    """Those by which a host like this one computes quicker: what ``--quantize auto`` tries."""
    package = _package(target)
    return cast("tuple[str, ...]", package.gaining()) if package is not None else ()


def pass_of(target: str, name: str) -> Pass:
    """The target's pass of that name."""
    package = _package(target)
    assert package is not None
    return cast(Pass, importlib.import_module(f"{package.__name__}.{name.replace('-', '_')}").PASS)


def _package(target: str) -> Any:
    name = f"{package_of(target)}.passes"
    return importlib.import_module(name) if importlib.util.find_spec(name) is not None else None


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
