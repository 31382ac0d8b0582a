"""Finds the weights in whatever a checkpoint keeps them in, and puts them into the architecture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from torchship.errors import MalformedError, SourceError
from torchship.formats.checkpoints import NESTS

_PREFIXES = ("module.", "model.", "_orig_mod.", "net.", "network.", "backbone.", "encoder.", "generator.")
_DISPENSABLE = (".num_batches_tracked", "position_ids", "total_ops", "total_params")
_MAX_NESTS = 4
_SHOWN = 6

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Candidate:
    """A state_dict as it may have been meant: where it was found, and what was done to its keys."""

    state: State
    told: str
    left_out: tuple[str, ...] = ()


def put(module: nn.Module, loaded: Any, origin: str) -> tuple[str, ...]:
    """Load the weights in ``loaded`` into ``module``; give what the user should know.

    Raises:
        MalformedError: there are no weights in it.
        SourceError: keys are missing, unexpected or of another shape; names them.
    """
    places = list(_places(loaded))
    if not places:
        kind = type(loaded).__name__
        raise MalformedError(
            f"{origin} holds a {kind}, and no weights in it", hint="torch.save(model.state_dict(), path)"
        )
    wanted = module.state_dict()
    candidates = [each for place in places for each in _renamed(place, wanted)]
    best = max(candidates, key=lambda each: _fits(each.state, wanted))
    _load(module, wanted, best, origin)
    return tuple(_notes(best, wanted))


def _places(loaded: Any, at: str = "", depth: int = 0) -> Iterator[Candidate]:
    """Mappings that hold tensors: at the top, below the usual keys first, then below any; at last all as one."""
    if not isinstance(loaded, Mapping) or depth > _MAX_NESTS:
        return
    tensors = {str(key): value for key, value in loaded.items() if isinstance(value, Tensor)}
    if tensors:
        yield Candidate(tensors, f"the weights below {at!r}" if at else "")
    inner = {key: value for key, value in loaded.items() if isinstance(value, Mapping) and isinstance(key, str)}
    for key in sorted(inner, key=lambda key: NESTS.index(key) if key in NESTS else len(NESTS)):
        yield from _places(inner[key], f"{at}.{key}" if at else key, depth + 1)
    if len(inner) > 1 and (joined := dict(_flat(inner))):
        yield Candidate(joined, f"the weights below {', '.join(inner)}, joined")


def _flat(parts: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    for name, part in parts.items():
        yield from ((f"{name}.{key}", value) for key, value in part.items() if isinstance(value, Tensor))


def _renamed(place: Candidate, wanted: State) -> Iterator[Candidate]:
    """As it is, with prefixes off, and with the prefix on that the architecture has everywhere."""
    plain = Candidate({key.replace("_orig_mod.", ""): value for key, value in place.state.items()}, place.told)
    yield plain
    seen = {""}
    waiting = [(plain, "")]
    while waiting:
        one, off = waiting.pop(0)
        for prefix in _PREFIXES:
            if off + prefix in seen or not any(key.startswith(prefix) for key in one.state):
                continue
            seen.add(off + prefix)
            kept = {key.removeprefix(prefix): value for key, value in one.state.items() if key.startswith(prefix)}
            others = tuple(key for key in one.state if not key.startswith(prefix))
            waiting.append((Candidate(kept, one.told, (*one.left_out, *others)), off + prefix))
            yield waiting[-1][0]
    for prefix in {key.partition(".")[0] + "." for key in wanted}:
        yield Candidate({prefix + key: value for key, value in plain.state.items()}, place.told)


def _fits(state: State, wanted: State) -> tuple[int, int]:
    """How many keys fit, and how few don't; among equals the first is taken."""
    same = sum(1 for key, value in state.items() if key in wanted and _same_shape(value, wanted[key]))
    return same, -len(state)


def _same_shape(value: Tensor, wanted: Tensor) -> bool:
    """True also where the module's own shape is only known once it has run, or where it is no tensor."""
    lazy = isinstance(wanted, (UninitializedParameter, UninitializedBuffer))
    return lazy or not isinstance(wanted, Tensor) or wanted.shape == value.shape


def _load(module: nn.Module, wanted: State, best: Candidate, origin: str) -> None:
    shapes = [
        f"{key} is {list(value.shape)}, the model has {list(wanted[key].shape)}"
        for key, value in best.state.items()
        if key in wanted and not _same_shape(value, wanted[key])
    ]
    fitting = {key: value for key, value in best.state.items() if key not in wanted or _same_shape(value, wanted[key])}
    with torch.no_grad():
        result = module.load_state_dict(fitting, strict=False)
    missing = [key for key in result.missing_keys if not _is_there(key, wanted, best.state)]
    unexpected = [key for key in result.unexpected_keys if not key.endswith(_DISPENSABLE)]
    told = [f"missing: {_some(missing)}"] if missing else []
    told += [f"unexpected: {_some(unexpected)}"] if unexpected else []
    told += [f"other shapes: {_some(shapes)}"] if shapes else []
    if told:
        raise SourceError(
            f"the weights in {origin} don't fit {type(module).__name__}: {'; '.join(told)}",
            hint="name the architecture that they were trained with, built with the same arguments",
        )


def _is_there(key: str, wanted: State, given: State) -> bool:
    """Whether a key that the module lacks is dispensable, has a wrong shape (told apart), or is tied to one it has."""
    if key in given or key.endswith(_DISPENSABLE):
        return True
    mine = wanted[key]
    if not isinstance(mine, Tensor) or isinstance(mine, (UninitializedParameter, UninitializedBuffer)):
        return False
    tied = (wanted[other] for other in given if other in wanted and _same_shape(mine, wanted[other]))
    return bool(mine.numel()) and any(each.data_ptr() == mine.data_ptr() for each in tied)


def _notes(best: Candidate, wanted: State) -> Iterator[str]:
    if best.told:
        yield f"took {best.told}"
    if best.left_out:
        yield f"left out what is not the model's: {_some(list(best.left_out))}"
    strange = [
        key for key, value in best.state.items() if value.is_floating_point() and not torch.isfinite(value).all()
    ]
    if strange:
        yield f"the weights hold NaN or infinities: {_some(strange)}"
    changed = {
        f"{_name(value)} as {_name(wanted[key])}"
        for key, value in best.state.items()
        if key in wanted and isinstance(wanted[key], Tensor) and value.dtype != wanted[key].dtype
    }
    if changed:
        yield f"the model keeps its own element types; the file's were taken: {', '.join(sorted(changed))}"


def _finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(torch.isfinite(value).all())


def _name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
