"""In-place writes that TorchScript drops without a word: ``x[i:] &= y`` and its like on a part of a tensor."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator

from torch import nn

from torchship.models.function_text import parsed
from torchship.models.places import Kind, Place, kind_of

_DROPPED = (ast.BitAnd, ast.BitOr, ast.BitXor, ast.LShift, ast.RShift)


def dropped_write(model: nn.Module) -> Place | None:
    """The first such line in a ``forward`` of the user's own; None where there is none."""
    return next((place for module in model.modules() for place in _in_forward(type(module))), None)


def _in_forward(kind: type[nn.Module]) -> Iterator[Place]:
    forward = kind.forward
    file = inspect.getsourcefile(forward) or ""
    tree = parsed(forward) if kind_of(file) >= Kind.LIBRARY else None
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.AugAssign) and isinstance(node.op, _DROPPED) and isinstance(node.target, ast.Subscript):
            yield Place(file, node.lineno, "forward")
