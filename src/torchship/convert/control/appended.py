"""A list that a loop appended to in each of an open number of turns: as tensors, one axis more than the list's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Appended(list[Any]):
    """``before``: what it held; ``pieces``: of each ``append`` in the loop what it added, turn by turn (axis 0).

    It can be stacked, joined and added up, and gives its last; whoever asks it for more is refused.
    """

    def __init__(self, before: list[Any], pieces: list[Tensor]) -> None:
        turns = torch.stack(pieces, 1) if len(pieces) > 1 else pieces[0].unsqueeze(1)
        super().__init__([*before, _Turns(turns.flatten(0, 1))])

    def __getitem__(self, index: Any) -> Any:
        if index == -1 and isinstance(last := super().__getitem__(-1), _Turns):
            return last.tensors[-1]
        if isinstance(index, slice) and index == slice(None, None, -1):
            return _Reversed(list(super().__iter__()))
        raise NotImplementedError("of a list that a loop fills, only the last item can be had")

    def __len__(self) -> int:
        raise NotImplementedError("the length of a list that a loop fills isn't known")


class _Reversed(list[Any]):
    def __init__(self, items: list[Any]) -> None:
        turned = [_Turns(each.tensors.flip(0)) if isinstance(each, _Turns) else each for each in reversed(items)]
        super().__init__(turned)


class _Turns:
    """Stands in a list for many tensors; torch's functions of lists of tensors come here."""

    def __init__(self, tensors: Tensor) -> None:
        self.tensors = tensors

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = _JOINED.get(function)
        if made is None:
            return NotImplemented
        return made(*args, **(kwargs or {}))


def _stacked(tensors: list[Any], dim: int = 0) -> Tensor:
    """Along a new axis."""
    every = [each.tensors if isinstance(each, _Turns) else each.unsqueeze(0) for each in list.__iter__(tensors)]
    joined = torch.cat(every) if len(every) > 1 else every[0]
    return joined.movedim(0, dim)


def _joined(tensors: list[Any], dim: int = 0) -> Tensor:
    """Along an axis that they have."""
    every = [_flat(each.tensors, dim) if isinstance(each, _Turns) else each for each in list.__iter__(tensors)]
    return torch.cat(every, dim) if len(every) > 1 else every[0]


def _flat(turns: Tensor, dim: int) -> Tensor:
    place = dim % (turns.dim() - 1)
    return turns.movedim(0, place).flatten(place, place + 1)


_JOINED: dict[Any, Callable[..., Tensor]] = {
    torch.stack: _stacked, torch.cat: _joined, torch.concat: _joined, torch.concatenate: _joined,
}  # fmt: skip
