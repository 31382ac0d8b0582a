"""The run side of a target: opens an artifact and answers with flat arrays."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from torchship.bundle.artifact import Artifact, Settings
from torchship.errors import UnavailableError
from torchship.measure.knobs import Knob

Array = npt.NDArray[Any]


class Needs(msgspec.Struct, frozen=True):
    """Modules that a target's side imports, and the extra of torchship that brings them (None: the base install).

    ``compiler``: it calls a C++ compiler too: what ``CXX`` names, else g++ (clang++ on macOS).
    """

    modules: tuple[str, ...]
    extra: str | None = None
    compiler: bool = False

    @property
    def missing(self) -> tuple[str, ...]:
        """What isn't installed here; nothing is imported or called to find out."""
        modules = tuple(name for name in self.modules if not _there(name))
        return modules if not self.compiler or shutil.which(cxx()) else (*modules, f"a C++ compiler ({cxx()})")

    @property
    def hint(self) -> str:
        """The line that brings it: pip's, or the system's own for a compiler."""
        if self.compiler and not any(not _there(name) for name in self.modules):
            return "install g++ (apt install g++, dnf install gcc-c++, xcode-select --install), or name one in CXX"
        return f"pip install 'torchship[{self.extra}]'" if self.extra else "pip install torchship"

    def check(self, what: str) -> None:
        """Raise UnavailableError where a module is missing."""
        if missing := self.missing:
            raise UnavailableError(f"{what} needs {', '.join(missing)}, not installed here", hint=self.hint)


def cxx() -> str:
    """The C++ compiler's name, as torch takes it."""
    return os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")


def _there(module: str) -> bool:
    """Whether a module is installed; one whose import an environment forbids counts as missing."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


class Session(Protocol):
    """An opened artifact. ``run`` may be called from several threads at once unless the runner says otherwise."""

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Answer flat C-contiguous arrays in the signature's order with flat arrays in the signature's order."""
        ...

    def close(self) -> None:
        """Give back memory and scratch files."""
        ...


class Runner(Protocol):
    """``targets/NAME/run.py`` offers one as ``RUNNER``."""

    needs: Needs

    def open(self, artifact: Artifact, folder: Path, settings: Settings) -> Session:
        """Open ``folder / artifact.main``; raises what the runtime raises."""
        ...

    def knobs(self, artifact: Artifact, cores: int) -> tuple[Knob, ...]:
        """What can be set to make it quicker on a host of so many cores; what weighs most comes first."""
        ...


def carried(array: Array) -> Array:
    """Give an array that any runtime takes: C-contiguous, in the machine's byte order."""
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
