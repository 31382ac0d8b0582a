"""Watches a forward pass, operator by operator: who draws random numbers, and who writes into the model's own state."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from torchship.models.places import Place, deepest


@dataclass(frozen=True)
class Sight:
    """An operator (``aten.bernoulli_``), and the line that called it."""

    operator: str
    where: str | None


@dataclass
class Witness(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """``draws`` are the random draws, ``writes`` the state's names with who wrote them, first sights only."""

    state: Mapping[str, Tensor]
    draws: list[Sight] = field(default_factory=list)
    writes: dict[str, Sight] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._names = {tensor.untyped_storage().data_ptr(): name for name, tensor in self.state.items()}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note what is seen, and let the operator run."""
        if torch.Tag.nondeterministic_seeded in function.tags and not _is_still(function, args):
            self.draws.append(_sight(function))
        if function._schema.is_mutable:
            self._note_writes(function, args)
        return function(*args, **(kwargs or {}))

    def _note_writes(self, function: Any, args: Any) -> None:
        for argument, value in zip(function._schema.arguments, args, strict=False):
            if argument.alias_info is not None and argument.alias_info.is_write and isinstance(value, Tensor):
                name = self._names.get(value.untyped_storage().data_ptr())
                if name is not None:
                    self.writes.setdefault(name, _sight(function))


def _is_still(function: Any, args: Any) -> bool:
    """Dropout that is switched off, or of probability 0, draws nothing that shows."""
    if function._schema.name in ("aten::native_dropout", "aten::dropout"):
        return len(args) > 2 and (args[2] is False or args[1] == 0)
    return False


def _sight(function: Any) -> Sight:
    frames = [Place(frame.f_code.co_filename, line, frame.f_code.co_name) for frame, line in traceback.walk_stack(None)]
    place = deepest(reversed(frames))
    return Sight(function._schema.name.replace("::", "."), str(place) if place else None)
