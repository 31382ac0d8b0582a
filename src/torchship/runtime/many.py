"""Answers many inputs one after the other, joined to batches where the model allows it; a bad one harms no other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from torchship.errors import RefusedError, TorchshipError, UsageError
from torchship.runtime.inputs import named_inputs
from torchship.runtime.model import ShippedModel
from torchship.signature.check import check_numbers
from torchship.targets import Array

_ROWS = 32  # joined at most: beyond it a batch brings little on a CPU, and takes memory


@dataclasses.dataclass(frozen=True)
class Given:
    """An input by its name for the user, and how its bytes are had (which may raise OSError)."""

    name: str
    read: Callable[[], bytes]


@dataclasses.dataclass(frozen=True)
class Answered:
    """What became of one input: outputs by name, or why there are none."""

    name: str
    outputs: dict[str, Array] | None
    error: TorchshipError | None = None


@dataclasses.dataclass(frozen=True)
class _Ready:
    name: str
    arrays: list[Array]

    @property
    def kind(self) -> tuple[tuple[int, ...], ...]:
        """Shapes but for the batch: what can be joined has the same."""
        return tuple(array.shape[1:] for array in self.arrays)


def answer_one(model: ShippedModel, given: Given) -> dict[str, Array]:
    """Answer one input; raises what is wrong with it. NaN is refused."""
    try:
        ready = _ready(model, given)
    except OSError as error:
        raise _told(given.name, error) from error
    return model.named(model.infer(ready.arrays))


def answer_all(model: ShippedModel, given: Iterable[Given]) -> Iterator[Answered]:
    """Answer each input, in their order."""
    most = _most_rows(model)
    waiting: list[_Ready] = []
    for one in given:
        try:
            ready = _ready(model, one)
        except (RefusedError, OSError) as error:
            yield from _answer(model, waiting)
            waiting = []
            yield Answered(one.name, None, _told(one.name, error))
            continue
        if waiting and (waiting[0].kind != ready.kind or _rows([*waiting, ready]) > most):
            yield from _answer(model, waiting)
            waiting = []
        waiting.append(ready)
    yield from _answer(model, waiting)


def _ready(model: ShippedModel, given: Given) -> _Ready:
    arrays = model.check(named_inputs(given.read(), model.signature, given.name))
    check_numbers(model.signature, arrays)
    return _Ready(given.name, arrays)


def _most_rows(model: ShippedModel) -> int:
    """Rows that may be joined; 0 where the model has no batch."""
    batch = model.signature.batch
    if batch is None:
        return 0
    bound = model.signature.dim(batch).max
    return _ROWS if bound is None else min(_ROWS, bound)


def _rows(ready: Sequence[_Ready]) -> int:
    return sum(len(one.arrays[0]) for one in ready)


def _answer(model: ShippedModel, ready: Sequence[_Ready]) -> Iterator[Answered]:
    """Answer together; where that fails, one by one, so that only the wrong one is told so."""
    if len(ready) > 1:
        try:
            yield from _together(model, ready)
        except Exception:  # noqa: BLE001 - whose fault it is shows when each is asked alone
            for one in ready:
                yield _alone(model, one)
    elif ready:
        yield _alone(model, ready[0])


def _together(model: ShippedModel, ready: Sequence[_Ready]) -> list[Answered]:
    joined = [np.concatenate(parts) for parts in zip(*(one.arrays for one in ready), strict=True)]
    ends = np.cumsum([len(one.arrays[0]) for one in ready])[:-1]
    cut = [np.split(array, ends) for array in model.infer(joined)]
    return [Answered(one.name, model.named(parts)) for one, parts in zip(ready, zip(*cut, strict=True), strict=True)]


def _alone(model: ShippedModel, one: _Ready) -> Answered:
    try:
        return Answered(one.name, model.named(model.infer(one.arrays)))
    except Exception as error:  # noqa: BLE001 - a runtime's errors have no common root
        return Answered(one.name, None, _told(one.name, error))


def _told(name: str, error: Exception) -> TorchshipError:
    if isinstance(error, TorchshipError):
        return error
    if isinstance(error, OSError):
        return UsageError(f"{name} can't be read: {error.strerror or error}", hint="check the path and its permissions")
    return TorchshipError(f"the runtime failed on {name}: {type(error).__name__}: {error}", where=name)
