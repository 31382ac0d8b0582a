"""Gives the user's live module back as it was: modes, gradients and every bit of its weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import nn


@contextmanager
def borrowed(*modules: nn.Module | None) -> Iterator[None]:
    """Whatever is done to ``modules`` within (eval mode, float64 in place) is undone afterwards; attention is plain."""
    mine = [module for module in modules if module is not None]
    modes = [(each, each.training) for module in mine for each in module.modules()]
    tensors = [
        (tensor, tensor.data, tensor.requires_grad)
        for module in mine
        for tensor in chain(module.parameters(), module.buffers())
    ]
    written = [(buffer, buffer.detach().clone()) for module in mine for buffer in module.buffers()]
    random_state = torch.get_rng_state()
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        for tensor, data, wants_gradient in tensors:
            tensor.data = data
            if tensor.is_leaf:
                tensor.requires_grad_(wants_gradient)
        with torch.no_grad():
            for buffer, value in written:
                buffer.copy_(value)
        for module, training in modes:
            module.training = training
        torch.set_rng_state(random_state)
        torch.backends.mha.set_fastpath_enabled(fast_path)
