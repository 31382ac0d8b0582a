"""Several pieces of work at once, each in a worker of its own: the threads here only wait for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")


def side_by_side(work: Callable[[_T], _R], pieces: Iterable[_T], jobs: int) -> list[_R]:
    """Do ``jobs`` pieces at once; what came of them is in the pieces' order. What one raises ends all."""
    pool = ThreadPoolExecutor(max_workers=max(1, jobs))
    try:
        return list(pool.map(work, pieces))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
