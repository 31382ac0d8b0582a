"""What Python remarks while a damaged file is looked at, and no one needs to hear."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quietly() -> Iterator[None]:
    """Take texts with odd escapes as they are: ``pickletools`` warns of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
