"""What every model of the zoo shares: the same weights and examples in every process."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch


def entry(make: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """Mark ``make`` as a model of the zoo: seeded, so that whoever opens it gets the same one."""

    @functools.wraps(make)
    def seeded() -> dict[str, Any]:
        torch.manual_seed(20)
        random.seed(20)
        np.random.seed(20)
        return make()

    return seeded


def generator(number: int) -> torch.Generator:
    """The source of the fresh input called ``number``."""
    return torch.Generator().manual_seed(1000 + number)


def coarse(make: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """Mark a model which computes in 16 bits though its weights are wider: it is judged by what 16 bits can hold."""
    make.coarse = True  # type: ignore[attr-defined]
    return make
