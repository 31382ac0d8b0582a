"""The smallest weights of all layers together become 0: it brings size where files are compressed, and no speed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from torchship.convert.pruning import weights_of


def prune(module: nn.Module, call: Callable[[], Any], share: float) -> str:
    """Set ``share`` of the weights to 0, by magnitude over all layers (Han et al., 2015)."""
    del call
    weights = [weight for _, weight in weights_of(module)]
    with torch.no_grad():
        every = torch.cat([weight.abs().flatten() for weight in weights])
        count = int(share * every.numel())
        if count:
            bound = every.kthvalue(count).values
            for weight in weights:
                weight.mul_(weight.abs() > bound)
        zero = sum(int((weight == 0).sum()) for weight in weights)
    return f"{zero / every.numel():.0%} of the weights of {len(weights)} layers are 0"
