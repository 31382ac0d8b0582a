"""The precision that a model computes in, seen while it runs: weights and casts inside count, not inputs alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Coarsest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps the greatest unit roundoff (``epsilon``; 0 where there was none) of what operators give while it is on.

    An operator that gives a single element (a count, a factor) says nothing about how the model computes.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.epsilon = 0.0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator and look at what it gives."""
        given = function(*args, **(kwargs or {}))
        for each in tree_leaves(given):
            if isinstance(each, Tensor) and each.numel() > 1 and (each.is_floating_point() or each.is_complex()):
                self.epsilon = max(self.epsilon, float(torch.finfo(each.dtype).eps))
        return given
