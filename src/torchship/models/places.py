"""Places in Python code, told in the user's terms: their own line where there is one, else the package's."""

from __future__ import annotations

import linecache
import re
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from pathlib import Path

import torchship

_OURS = str(Path(torchship.__file__).parent)
_STANDARD = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})
_PACKAGES = ("site-packages", "dist-packages")
_MACHINERY = (
    "torch", "functorch", "onnx", "onnxscript", "onnx_ir", "onnxruntime", "openvino", "numpy", "sympy", "mpmath",
    "networkx", "_pytest", "pluggy", "pytest_timeout",
)  # fmt: skip
_LAYERS = "torch/nn/modules/"
_DEFINED = re.compile(r"\s*(?:async )?def (\w+)")
_PYTHON = re.compile(r'File "([^"]+)", line (\d+), in (\S+)')
_SCRIPT = re.compile(r'File "([^"]+)", line (\d+)\n')
_TRACED = re.compile(r"^(\S.*\.py)\((\d+)\): (\S+)$", re.MULTILINE)
_CALLING = ("torch/nn/modules/module.py", "torch/nn/modules/container.py")


class Kind(IntEnum):
    """Whose code a file is: the higher, the more it says to the user."""

    MACHINERY = 0  # Python's own, the converters', ours
    LAYER = 1  # torch.nn's layers
    LIBRARY = 2  # a package that holds models
    USER = 3


@dataclass(frozen=True)
class Place:
    """A line of Python. ``function`` may be empty where it isn't known."""

    file: str
    line: int
    function: str = ""

    @property
    def kind(self) -> Kind:
        """Whose code it is."""
        return kind_of(self.file)

    @property
    def code(self) -> str:
        """The line itself, without its comment; empty where the file isn't there any more."""
        return linecache.getline(self.file, self.line).partition("  #")[0].strip()

    def __str__(self) -> str:
        """``net.py:31 in forward``; for a package's file with the path inside the package."""
        name = _inside_package(self.file) or Path(self.file).name
        return f"{name}:{self.line} in {self.function}" if self.function else f"{name}:{self.line}"


def kind_of(file: str) -> Kind:
    """Tell whose code ``file`` is."""
    if file.startswith("<") or "__torch__/" in file:  # TorchScript's own code, in an archive
        return Kind.MACHINERY
    if (inside := _inside_package(file)) is not None:
        if inside.partition("/")[0] not in _MACHINERY:
            return Kind.LIBRARY
        layer = inside.startswith(_LAYERS) and inside not in _CALLING
        return Kind.LAYER if layer else Kind.MACHINERY
    if file.startswith(_OURS):
        return Kind.LIBRARY if file.startswith(f"{_OURS}/digits") else Kind.MACHINERY
    return Kind.MACHINERY if file.startswith(_STANDARD) else Kind.USER


def is_user_file(file: str) -> bool:
    """Tell the user's code from Python's, the packages' and our own."""
    return kind_of(file) is Kind.USER


def deepest(places: Iterable[Place]) -> Place | None:
    """The last of the places that say most to the user; None where all are the machinery's."""
    best: Place | None = None
    for place in places:
        if place.kind is not Kind.MACHINERY and (best is None or place.kind >= best.kind):
            best = place
    return best


def of_traceback(error: BaseException) -> Iterator[Place]:
    """The frames of ``error``, outermost first."""
    for frame, line in traceback.walk_tb(error.__traceback__):
        yield Place(frame.f_code.co_filename, line, frame.f_code.co_name)


def quoted(text: str) -> list[Place]:
    """The lines of Python that a message of torch's quotes, deepest last."""
    script = [Place(file, int(line), enclosing(file, int(line))) for file, line in _SCRIPT.findall(text)]
    traced = [Place(file, int(line), name) for file, line, name in _TRACED.findall(text)]
    python = [Place(file, int(line), name) for file, line, name in _PYTHON.findall(text)]
    return [*python, *reversed(traced), *reversed(script)]


@lru_cache(maxsize=4096)
def enclosing(file: str, line: int) -> str:
    """The name of the function that ``line`` belongs to; empty where none is found."""
    lines = linecache.getlines(file)[:line]
    depth = _indent(lines[-1]) if lines else 0
    for each in reversed(lines):
        if found := _DEFINED.match(each):
            if _indent(each) < depth or each is lines[-1]:
                return found[1]
        elif (said := each.strip()) and not said.startswith(")"):  # the end of a signature over several lines
            depth = min(depth, _indent(each))
    return ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _inside_package(file: str) -> str | None:
    """``transformers/models/bert/modeling_bert.py`` of an installed package's file; None for other files."""
    for folder in _PACKAGES:
        _, found, inside = file.rpartition(f"/{folder}/")
        if found:
            return inside
    return None
