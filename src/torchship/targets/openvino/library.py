"""The openvino package, imported so that it keeps to itself."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

_TELEMETRY = "openvino_telemetry"


@lru_cache(maxsize=1)
def library() -> Any:
    """Import openvino without its telemetry, which writes into the home folder at import and calls home at conversion.

    Where the process has imported it before us, that is its user's choice.
    """
    blocked = _TELEMETRY not in sys.modules
    if blocked:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        import openvino

        return openvino
    finally:
        if blocked:
            del sys.modules[_TELEMETRY]


@lru_cache(maxsize=1)
def core() -> Any:
    """The process's one OpenVINO core: it holds the plugins that it loaded."""
    return library().Core()
