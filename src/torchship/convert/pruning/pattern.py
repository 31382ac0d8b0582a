"""N:M sparsity: of every M weights along the inputs N stay. Hardware with a pattern of its own computes it quicker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from torchship.convert.pruning import weights_of
from torchship.errors import ConversionError

_OF = 4


def prune(module: nn.Module, call: Callable[[], Any], share: float) -> str:
    """Of every 4 weights keep the greatest: 2 for a ``share`` of 0.5, 1 for 0.75 (Mishra et al., 2021).

    Raises:
        ConversionError: no layer has a multiple of 4 inputs.
    """
    del call
    kept = _OF - round(share * _OF)
    fitting = [(name, weight) for name, weight in weights_of(module) if weight[0].numel() % _OF == 0]
    if not fitting:
        raise ConversionError(
            f"no layer has a multiple of {_OF} inputs, of which {kept} could stay",
            hint="--prune R takes whole channels",
        )
    for _, weight in fitting:
        _keep(weight, kept)
    return f"{kept} of every {_OF} weights stay in {len(fitting)} layers"


def _keep(weight: Tensor, kept: int) -> None:
    with torch.no_grad():
        groups = weight.reshape(-1, _OF)
        least = groups.abs().argsort(dim=1)[:, : _OF - kept]
        weight.copy_(groups.scatter(1, least, 0.0).reshape(weight.shape))
