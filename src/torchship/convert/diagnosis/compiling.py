"""What TorchScript was compiling when it gave up, where its error doesn't say: found in its own frames."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from types import FrameType, FunctionType, MethodType
from typing import Any

from torchship.models.places import Place


def compiled_line(frames: Sequence[FrameType]) -> list[Place]:
    """The line that calls what TorchScript was looking at last: a numpy function, say."""
    looked_at = next((name for frame in reversed(frames) if (name := _name(frame.f_locals.get("fn")))), None)
    if looked_at is None:
        return []
    calls = re.compile(rf"(?<!def )\b{re.escape(looked_at)}\(")
    for function in _functions(frames):
        found = _line(function, calls)
        if found is not None:
            return [found]
    return []


def _name(value: object) -> str | None:
    name = getattr(value, "__name__", None)
    return name if callable(value) and isinstance(name, str) else None


def _functions(frames: Sequence[FrameType]) -> Iterator[Any]:
    """The user's functions in work, innermost first."""
    for frame in reversed(frames):
        if isinstance(function := frame.f_locals.get("fn"), (FunctionType, MethodType)):
            yield function
        for stub in frame.f_locals.get("method_stubs") or ():
            yield stub.original_method


def _line(function: Any, calls: re.Pattern[str]) -> Place | None:
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError):
        return None
    file = inspect.getsourcefile(function) or ""
    return next((Place(file, first + i, function.__name__) for i, line in enumerate(lines) if calls.search(line)), None)
