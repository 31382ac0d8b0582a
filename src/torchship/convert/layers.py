"""A model's layers as they run: in which order, called from where, and what each gives."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

import torchship
from torchship.models.eager import Array, as_array
from torchship.models.flat import FlatModule, define
from torchship.models.model import Model
from torchship.models.places import Kind, Place, deepest, kind_of
from torchship.signature.naming import identifiers

Key = tuple[str, int]
_OURS = str(Path(torchship.__file__).parent)


@dataclass(frozen=True)
class Layer:
    """One call of a submodule: its path, which call of it, and the line to look at."""

    path: str
    call: int
    place: Place | None
    kind: str
    training: bool

    @property
    def key(self) -> Key:
        """What names the call."""
        return self.path, self.call


@dataclass
class Recording:
    """What the wanted calls gave, in the order in which they were done; None wants all, and keeps no tensors."""

    wanted: frozenset[Key] | None
    layers: list[Layer] = field(default_factory=list)
    tensors: dict[Key, list[Tensor]] = field(default_factory=dict)
    _calls: Counter[str] = field(default_factory=Counter)

    def clear(self) -> None:
        """Begin a call of the whole."""
        self.layers.clear()
        self.tensors.clear()
        self._calls.clear()

    def note(self, path: str, module: nn.Module, output: Any) -> None:
        """Take what a submodule gave. Copies: what follows may write into it."""
        given = tensors_in(output)
        key = (path, self._calls[path])
        self._calls[path] += 1
        if self.wanted is None and given:
            self.layers.append(Layer(*key, place_of(module), type(module).__name__, module.training))
        elif self.wanted is not None and key in self.wanted:
            self.tensors[key] = [tensor.clone() for tensor in given]

    def given(self) -> list[Tensor]:
        """The tensors of the wanted calls, one call after the other."""
        return [tensor for tensors in self.tensors.values() for tensor in tensors]


@contextmanager
def recording(flat: FlatModule, wanted: frozenset[Key] | None = None) -> Iterator[Recording]:
    """Record the submodules' calls of whatever runs within."""
    recorded = Recording(wanted)
    hooks = [
        module.register_forward_hook(_hook(recorded, path))
        for path, module in flat.module.named_modules()
        if path not in ("", "model")
    ]
    try:
        yield recorded
    finally:
        for hook in hooks:
            hook.remove()


def _hook(recorded: Recording, path: str) -> Any:
    return lambda module, _args, output: recorded.note(path, module, output)


def layers_of(flat: FlatModule, inputs: Sequence[Tensor]) -> list[Layer]:
    """The calls of submodules that ``inputs`` lead to, in the order in which they are done."""
    with recording(flat) as recorded:
        _run(flat, inputs)
    return list(recorded.layers)


def answers_of(flat: FlatModule, inputs: Sequence[Tensor], wanted: Sequence[Layer]) -> dict[Key, list[Array]]:
    """What the wanted calls give, as arrays."""
    with recording(flat, frozenset(layer.key for layer in wanted)) as recorded:
        _run(flat, inputs)
    return {key: [as_array(tensor) for tensor in tensors] for key, tensors in recorded.tensors.items()}


def arguments_of(
    flat: FlatModule, inputs: Sequence[Tensor], wanted: Sequence[Layer]
) -> dict[Key, tuple[tuple[Any, ...], dict[str, Any]]]:
    """What the wanted calls are given."""
    keys, found, calls = {layer.key for layer in wanted}, {}, Counter[str]()

    def hook(path: str) -> Any:
        def note(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            key = (path, calls[path])
            calls[path] += 1
            if key in keys:
                found[key] = (_copied(args), _copied(kwargs))

        return note

    hooks = [
        module.register_forward_pre_hook(hook(path), with_kwargs=True)
        for path, module in flat.module.named_modules()
        if path not in ("", "model")
    ]
    try:
        _run(flat, inputs)
    finally:
        for each in hooks:
            each.remove()
    return found


def _copied(value: Any) -> Any:
    """Arguments as they are now: what follows may write into them."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return type(value)(_copied(each) for each in value) if type(value) in (list, tuple) else value


def _run(flat: FlatModule, inputs: Sequence[Tensor]) -> None:
    with torch.no_grad():
        flat.call(tuple(tensor.clone() for tensor in inputs))


class Probing(nn.Module):
    """Gives what the flat module gives, and then what the wanted calls within it gave."""

    def __init__(self, flat: FlatModule, recorded: Recording) -> None:
        super().__init__()
        self.flat = flat
        self.training = flat.training
        self._recorded = recorded

    def answer(self, leaves: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Answer in flat tensors."""
        self._recorded.clear()
        return (*self.flat.answer(leaves), *self._recorded.given())


@contextmanager
def probing(model: Model, wanted: Sequence[Layer]) -> Iterator[tuple[Model, Recording]]:
    """Give a Model with more outputs; whatever captures it must do so within."""
    with recording(model.flat, frozenset(layer.key for layer in wanted)) as recorded:
        parameters = ", ".join(identifiers(model.names))
        code = f"def forward(self, {parameters}):\n    return self.answer(({parameters},))\n"
        made = type("Probed", (Probing,), {"forward": define(code, "forward", {})})(model.flat, recorded)
        yield replace(model, flat=made), recorded


def tensors_in(value: Any) -> list[Tensor]:
    """The tensors in what a layer gives; what else is in it is left out."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, each.name) for each in dataclasses.fields(value)]
    return [tensor for each in value for tensor in tensors_in(each)] if isinstance(value, (list, tuple)) else []


def place_of(module: nn.Module) -> Place | None:
    """A class of the user's own is told by its ``forward``; a library's layer by the line that calls it."""
    forward = type(module).forward
    file = inspect.getsourcefile(forward) or ""
    if file and kind_of(file) is Kind.USER:
        return Place(file, forward.__code__.co_firstlineno, "forward")
    return deepest(reversed(list(_callers())))


def _callers() -> Iterator[Place]:
    """The frames between the hook, which is ours, and whoever called the model, who is too; innermost first."""
    frame: FrameType | None = sys._getframe()
    below = True
    while frame is not None:
        ours = frame.f_code.co_filename.startswith(_OURS) and kind_of(frame.f_code.co_filename) is Kind.MACHINERY
        if ours and not below:
            return
        below = below and ours
        if not ours:
            yield Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
        frame = frame.f_back
