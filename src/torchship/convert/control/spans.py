"""What a loop goes over, where the number of its turns is open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

_max: Callable[[Any, Any], Any] = torch.sym_max


@dataclass(frozen=True)
class Span:
    """``count`` turns; ``at`` gives what the loop gets at a turn."""

    count: Any
    at: Callable[[Any], Any]


def _open(number: Any) -> bool:
    return isinstance(number, torch.SymInt)


def span(*bounds: Any) -> Any:
    """``range``, which asks for plain numbers."""
    bounds = tuple(each.item() if isinstance(each, Tensor) else each for each in bounds)
    if not any(map(_open, bounds)):
        return range(*bounds)
    start, stop, step = (0, bounds[0], 1) if len(bounds) == 1 else (*bounds, 1)[:3]
    steps = (stop - start + step - (1 if step > 0 else -1)) // step
    count = steps if _is_size(steps) else _max(steps, 0)
    return Span(count, lambda turn: start + step * turn)


def _is_size(steps: Any) -> bool:
    from torch.fx.experimental.symbolic_shapes import statically_known_true

    return statically_known_true(steps >= 0)


def backwards(over: Any) -> Any:
    """``reversed``."""
    if not isinstance(over, Span):
        return reversed(over)
    return Span(over.count, lambda turn: over.at(over.count - 1 - turn))


def counted(over: Any) -> Any:
    """``enumerate``."""
    return replace(over, at=lambda turn: (turn, over.at(turn))) if isinstance(over, Span) else enumerate(over)


def rows(over: Any) -> Any:
    """A tensor is gone over by its first axis."""
    return parts(over) if isinstance(over, Tensor) else over


def parts(over: Any, dim: Any = 0) -> Any:
    """``unbind``."""
    if not isinstance(over, Tensor):
        return over.unbind(dim)
    if not _open(over.shape[dim]):
        return over.unbind(dim)
    return Span(over.shape[dim], lambda turn: over.select(dim, turn))
