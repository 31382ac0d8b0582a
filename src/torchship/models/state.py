"""Models that aren't functions of their inputs: random draws, and buffers that change from call to call."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from torchship.errors import SourceError
from torchship.models import eager
from torchship.models.assignments import OPERATOR, assignment_of
from torchship.models.model import Model
from torchship.models.witness import Witness

_RUNS = 3  # a state may show only from the second call on


def refuse_unrepeatable(model: Model, inputs: Sequence[Tensor]) -> list[str]:
    """Run a few times on the same inputs, from other random states; give notes for the user.

    A state that changes without showing in the answers (a counter, batch-norm's averages in training mode) is put back
    and noted.

    Raises:
        SourceError: the answers depend on chance, or on the calls before; says on which operator and line.
    """
    state = _state(model)
    kept = {name: value.clone() for name, value in state.items()}
    attributes = _attributes(model)
    witness = Witness(state)
    answers = []
    for run in range(_RUNS):
        torch.manual_seed(run)
        with witness:
            answers.append(eager.run(model.flat, inputs))
    changed = [name for name, value in _state(model).items() if not _equal(value, kept.get(name))]
    changed += [name for name, value in _attributes(model).items() if not _equal(value, attributes.get(name))]
    differs = any(not _same(one, other) for later in answers[1:] for one, other in zip(answers[0], later, strict=True))
    _put_back(model, state, kept)
    if differs:
        raise _unrepeatable(changed, witness, model)
    told = ", ".join(name.removeprefix("model.") for name in changed[:4])
    return [f"its answers don't show that it changes its own state in forward: {told}"] if changed else []


def _unrepeatable(changed: Sequence[str], witness: Witness, model: Model) -> SourceError:
    if changed:
        sight = witness.writes.get(changed[0])
        names = ", ".join(name.removeprefix("model.") for name in changed[:4])
        place = None if sight else assignment_of(model.flat.module, changed[0])
        op = sight.operator if sight else OPERATOR if place else None
        by = f" by `{place.code}`" if place else f" by {op}" if op else ""
        return SourceError(
            f"the model answers otherwise from call to call: forward changes its own state ({names}){by}",
            where=sight.where if sight else str(place) if place else None,
            op=op,
            hint="make the state an input and an output of forward, or put the layer that updates it into eval mode",
        )
    if witness.draws:
        sight = witness.draws[0]
        return SourceError(
            f"the model is not deterministic: {sight.operator} draws random numbers",
            where=sight.where,
            op=sight.operator,
            hint="put dropout into eval mode (model.eval(), training=self.training), or make the noise an input",
        )
    return SourceError(
        "the model is not deterministic: it answers otherwise from call to call, and no operator of torch says why",
        hint="look for Python's own random, numpy.random, the clock, or a counter in forward",
    )


def weights_sha256(model: Model) -> str:
    """A hash over names, types, shapes and bytes of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(_state(model).items()):
        digest.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        digest.update(_bits(value).numpy().data)
    return digest.hexdigest()


def _state(model: Model) -> dict[str, Tensor]:
    """Parameters and buffers, those too that a state_dict leaves out."""
    module = model.flat.module
    return dict(module.named_parameters()) | dict(module.named_buffers())


def _attributes(model: Model) -> dict[str, Tensor | float]:
    """Tensors and numbers that the modules keep as plain attributes."""
    return {
        f"{path}.{name}" if path else name: value.clone() if isinstance(value, Tensor) else value
        for path, module in model.flat.module.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, (Tensor, int, float)) and name != "training"
    }


def _equal(one: object, other: object) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and one.dtype == other.dtype and torch.equal(_bits(one), _bits(other))
    return one == other if isinstance(one, (int, float)) and isinstance(other, (int, float)) else one is other


def _put_back(model: Model, state: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> None:
    """Undo what forward wrote into parameters and buffers, or put in their place."""
    with torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(kept[name])
            path, _, own = name.rpartition(".")
            owner = model.flat.module.get_submodule(path)
            if own in owner._buffers:
                owner._buffers[own] = tensor


def _bits(value: Tensor) -> Tensor:
    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)


def _same(one: eager.Array, other: eager.Array) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype.kind in "fc":
        scale = float(np.nan_to_num(np.abs(one)).max()) if one.size else 0.0
        return bool(np.allclose(one, other, rtol=1e-4, atol=1e-5 * max(scale, 1e-12), equal_nan=True))
    return bool(np.array_equal(one, other))
