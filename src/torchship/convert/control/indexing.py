"""Indexing by a loop's turn, which is a number that isn't known while the graph is made."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def item(base: Any, index: Any) -> Any:
    """``base[index]``, where a number in ``index`` may be a loop's turn."""
    if not isinstance(base, Tensor):
        return base[index]
    base, rest = _picked(base, index if isinstance(index, tuple) else (index,))
    return base[rest] if rest else base


def put(base: Any, index: Any, new: Any) -> None:
    """``base[index] = new``."""
    if not isinstance(base, Tensor):
        base[index] = new
        return
    base, rest = _picked(base, index if isinstance(index, tuple) else (index,))
    if rest:
        base[rest] = new
    elif isinstance(new, Tensor):
        base.copy_(new)
    else:
        base.fill_(new)


def _picked(base: Tensor, index: tuple[Any, ...]) -> tuple[Tensor, tuple[Any, ...]]:
    """Take the numbers out of an index: each selects from its own axis. Other kinds of index keep them."""
    if any(isinstance(each, (Tensor, list)) or each is None or isinstance(each, bool) for each in index):
        return base, index
    if any(each is Ellipsis for each in index):
        at = [each is Ellipsis for each in index].index(True)
        index = (*index[:at], *[slice(None)] * (base.dim() - len(index) + 1), *index[at + 1 :])
    rest: list[Any] = []
    axis = 0
    for each in index:
        if isinstance(each, slice):
            rest.append(each)
            axis += 1
        else:
            base = base.select(axis, each)
    return base, tuple(rest)
