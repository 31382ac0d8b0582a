"""Operators by their names: ``aten.sort.stable``; the default overload goes without saying."""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import FrameType
from typing import Any

_WRITTEN = re.compile(
    r"(?:torch\.ops\.)?\b(?P<space>aten|prims?|torchvision|quantized|(?!(?:c10|at|std|ov|torch|detail)\b)[a-z_]\w*(?=::))(?:\.|::)(?P<name>[A-Za-z_]\w*)(?P<more>\.[A-Za-z_]\w*)?"
)
_CALLED = re.compile(r"torch\.(\w+)\(.*\n\s*~+ <--- HERE")  # in the code that a TorchScript archive holds
_HELD_AS = ("func", "op", "self", "target")


def operator_name(overload: Any) -> str:
    """``aten.sort.stable`` of torch's object or its text."""
    return (
        str(overload)
        .removeprefix("torch.ops.")
        .replace("::", ".")
        .removesuffix(".default")
        .removesuffix("_reverseprop")
    )


def is_operator(value: object) -> bool:
    """Tell torch's operators from all else; torch need not be there."""
    return type(value).__module__ == "torch._ops" and type(value).__name__ in ("OpOverload", "OpOverloadPacket")


def operator_in(frames: Iterable[FrameType]) -> str | None:
    """The outermost operator that runs in ``frames``, outermost first: the one that the user's line called."""
    for frame in frames:
        for name in _HELD_AS:
            if is_operator(value := frame.f_locals.get(name)):
                return operator_name(value)
    return None


def operator_written(text: str) -> str | None:
    """The first operator that a message names."""
    if found := _WRITTEN.search(text):
        return operator_name(found[0])
    called = _CALLED.search(text)
    return f"aten.{called[1]}" if called else None
