"""torchship: a trained PyTorch model goes in; a bundle that was proven right and timed comes out.

``ship`` needs torch (the extra ``build``); ``load`` does not. Both are loaded when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["__version__", "errors", "load", "ship"]

if TYPE_CHECKING:
    from torchship import errors as errors
    from torchship.pipeline.api import ship as ship
    from torchship.runtime import load as load

_PLACES = {"load": "torchship.runtime", "ship": "torchship.pipeline.api"}


def __getattr__(name: str) -> Any:
    import importlib

    if name == "errors":
        return importlib.import_module("torchship.errors")
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'torchship' has no attribute {name!r}")
