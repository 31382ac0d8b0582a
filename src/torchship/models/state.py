"""Models that aren't functions of their inputs: random draws, and buffers that change from call to call."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from torchship.errors import SourceError
from torchship.models import eager
from torchship.models.model import Model


def refuse_unrepeatable(model: Model, inputs: Sequence[Tensor]) -> None:
    """Run twice on the same inputs, from other random states.

    Raises:
        SourceError: the model draws random numbers, or its buffers change in ``forward``; names what changes.
    """
    before = {name: value.clone() for name, value in _state(model).items()}
    torch.manual_seed(1)
    first = eager.run(model.flat, inputs)
    changed = [name for name, value in _state(model).items() if not torch.equal(_bits(value), _bits(before[name]))]
    if changed:
        raise SourceError(
            f"the model changes its own state in forward: {', '.join(changed[:4])}",
            hint="make the state an input and an output, or put the layer that updates it into eval mode",
        )
    torch.manual_seed(2)
    second = eager.run(model.flat, inputs)
    for place, (one, other) in enumerate(zip(first, second, strict=True)):
        if one.shape != other.shape or not _same(one, other):
            raise SourceError(
                f"the model is not deterministic: output {place} differs between two runs on the same input",
                hint="dropout left in training mode, or a random draw in forward: make the noise an input",
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


def _bits(value: Tensor) -> Tensor:
    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)


def _same(
    one: np.ndarray[tuple[int, ...], np.dtype[np.generic]], other: np.ndarray[tuple[int, ...], np.dtype[np.generic]]
) -> bool:
    if one.dtype.kind in "fc":
        scale = float(np.nan_to_num(np.abs(one)).max()) if one.size else 0.0
        return bool(np.allclose(one, other, rtol=1e-4, atol=1e-5 * max(scale, 1e-12), equal_nan=True))
    return bool(np.array_equal(one, other))
