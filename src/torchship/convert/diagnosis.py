"""Says why a conversion failed: the operator, the user's source line, and a way out."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

from torchship.errors import ConversionError
from torchship.models.openers.python import is_user_file

_OPERATOR = re.compile(r"\b((?:aten|prim|prims|torchvision|quantized)(?:\.|::)[A-Za-z_]\w*(?:\.\w+)?)")
_SOURCE_LINE = re.compile(r'File "([^"]+)", line (\d+), in (\S+)')


def diagnose(error: BaseException, doing: str) -> ConversionError:
    """Make one ConversionError of whatever a converter raised."""
    told = _chain(error)
    return ConversionError(
        f"{doing} failed: {type(error).__name__}: {_first_sentence(str(error))}",
        where=_where(error),
        op=_operator(told),
        hint=None,
    )


def _chain(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _first_sentence(text: str) -> str:
    """The first lines that say something, at most 300 characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:3])[:300] or "no message"


def _operator(told: str) -> str | None:
    found = _OPERATOR.search(told)
    return found[1].replace("::", ".") if found else None


def _where(error: BaseException) -> str | None:
    """The deepest line of the user's own code, from the traceback or from what the converter wrote of it."""
    frames = [(frame.filename, frame.lineno or 0, frame.name) for frame in traceback.extract_tb(error.__traceback__)]
    written = [(file, int(line), name) for file, line, name in _SOURCE_LINE.findall(str(error))]
    mine = [(file, line, name) for file, line, name in (*frames, *written) if is_user_file(file)]
    if mine:
        file, line, name = mine[-1]
        return f"{Path(file).name}:{line} in {name}"
    return None
