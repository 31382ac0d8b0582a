"""NNCF, kept quiet: it prints tables and progress bars, and asks the network for telemetry."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def nncf() -> Iterator[Any]:
    """Within, the module."""
    import nncf as module

    level = module.nncf_logger.level if hasattr(module, "nncf_logger") else logging.INFO
    module.set_log_level(logging.ERROR)
    try:
        yield module
    finally:
        module.set_log_level(level)
