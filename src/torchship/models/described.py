"""Reads the contract's source dict, or a bare module, into a Description."""

from __future__ import annotations

from typing import Any

from torch import nn

from torchship.errors import SourceError
from torchship.models.model import Description

_KEYS = {
    "model", "args", "kwargs", "dynamic_shapes", "preprocess", "postprocess", "labels", "fresh", "calibration",
    "evaluate", "names", "train",
}  # fmt: skip


def described(found: Any, origin: str) -> Description:
    """Read ``found``: a module, or a dict with ``model`` and more.

    Raises:
        SourceError: neither, or the dict holds what no one reads.
    """
    if isinstance(found, nn.Module):
        return Description(found)
    if not isinstance(found, dict) or "model" not in found:
        raise SourceError(
            f"{origin} gives a {type(found).__name__}, which is no model",
            hint="give an nn.Module, a callable that returns one, or a callable that returns {'model': …, 'args': …}",
        )
    if unknown := sorted(str(key) for key in found if key not in _KEYS):
        raise SourceError(
            f"{origin} gives {', '.join(unknown)}, which nobody reads", hint=f"known: {', '.join(sorted(_KEYS))}"
        )
    for key in ("model", "preprocess", "postprocess"):
        if not isinstance(found.get(key), nn.Module) and (key == "model" or found.get(key) is not None):
            raise SourceError(f"{origin}: {key!r} is a {type(found[key]).__name__}, not an nn.Module")
    names = found.get("names") or {}
    return Description(
        model=found["model"],
        args=_tuple(found.get("args")),
        kwargs=found.get("kwargs") or {},
        dynamic_shapes=found.get("dynamic_shapes"),
        preprocess=found.get("preprocess"),
        postprocess=found.get("postprocess"),
        labels=tuple(str(label) for label in found.get("labels") or ()),
        fresh=found.get("fresh"),
        calibration=found.get("calibration"),
        evaluate=found.get("evaluate"),
        train=found.get("train"),
        input_names=tuple(names.get("inputs") or ()),
        output_names=tuple(names.get("outputs") or ()),
    )


def _tuple(args: Any) -> tuple[Any, ...] | None:
    """``args`` as a tuple: a lone tensor or dict is one argument."""
    if args is None or type(args) is tuple:
        return args
    return tuple(args) if type(args) is list else (args,)
