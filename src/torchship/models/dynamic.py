"""Which axes may change their size: torch.export's ``dynamic_shapes`` as dims per tensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from torchship.errors import UsageError
from torchship.models.hints import Hint
from torchship.models.model import Axes
from torchship.signature import Dim

_HINT = "write it as torch.export does: {'x': {0: torch.export.Dim('batch', min=1, max=64)}}"


def axes_of(arguments: Mapping[str, Any], shapes: Any) -> list[Axes]:
    """Read ``dynamic_shapes`` for a call's arguments: for each tensor, in the order of ``flatten``, its dynamic axes.

    Raises:
        UsageError: the shapes don't follow the arguments' structure, or name an axis that isn't there.
    """
    found: list[Axes] = []
    _walk(dict(arguments), _by_name(arguments, shapes), "dynamic_shapes", found)
    return found


def _by_name(arguments: Mapping[str, Any], shapes: Any) -> dict[str, Any]:
    if shapes is None:
        return {}
    if isinstance(shapes, dict):
        if unknown := [name for name in shapes if name not in arguments]:
            raise UsageError(
                f"dynamic_shapes names {', '.join(map(str, unknown))}, which the call doesn't have",
                hint=f"its arguments are: {', '.join(arguments)}",
            )
        return dict(shapes)
    if isinstance(shapes, (list, tuple)) and len(shapes) <= len(arguments):
        return dict(zip(arguments, shapes, strict=False))
    raise UsageError(f"dynamic_shapes is {shapes!r}, which doesn't fit {len(arguments)} arguments", hint=_HINT)


def _walk(value: Any, spec: Any, at: str, found: list[Axes]) -> None:
    if isinstance(value, Tensor):
        found.append(_tensor_axes(value, spec, at))
        return
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        items = list(zip(value._fields, value, strict=True))
    elif hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        items = [(name, getattr(value, name)) for name in value.__dataclass_fields__]
    elif isinstance(value, (list, tuple)):
        items = list(enumerate(value))
    else:
        return
    for place, (key, item) in enumerate(items):
        _walk(item, _below(spec, key, place, at), f"{at}[{key!r}]", found)


def _below(spec: Any, key: Any, place: int, at: str) -> Any:
    """The part of ``spec`` for one item of a container: by its key, or by its place."""
    if spec is None:
        return None
    if isinstance(spec, dict):
        return spec.get(key, spec.get(place))
    if isinstance(spec, (list, tuple)):
        return spec[place] if place < len(spec) else None
    raise UsageError(f"{at} is {spec!r}, which doesn't follow the call's structure", hint=_HINT)


def _tensor_axes(tensor: Tensor, spec: Any, at: str) -> Axes:
    if spec is None:
        return {}
    if isinstance(spec, (list, tuple)):
        spec = dict(enumerate(spec))
    if not isinstance(spec, dict):
        raise UsageError(f"{at} is {spec!r}, which gives no axes", hint=_HINT)
    axes: dict[int, Dim] = {}
    for axis, size in spec.items():
        if not isinstance(axis, int) or not -tensor.dim() <= axis < tensor.dim():
            raise UsageError(f"{at} names axis {axis!r} of a tensor with {tensor.dim()} axes", hint=_HINT)
        place = axis % tensor.dim()
        dim = _dim(size, f"{at}[{axis}]", place)
        if dim is not None:
            axes[place] = dim
    return axes


def _dim(size: Any, at: str, axis: int) -> Dim | None:
    """Read one size: a torch.export.Dim, a name, a hint (AUTO, DYNAMIC: a name of its own), or a fixed number."""
    if size is None or isinstance(size, int) or size is torch.export.Dim.STATIC:
        return None
    if isinstance(size, str):
        return Dim(size)
    if isinstance(size, Dim):
        return size
    if size in (torch.export.Dim.AUTO, torch.export.Dim.DYNAMIC):
        plain = "_".join(part for part in at.replace("[", " ").replace("]", " ").replace("'", "").split()[1:-1])
        return Hint(f"{plain}_{axis}")
    name = getattr(size, "__name__", None)
    if name is None:
        raise UsageError(f"{at} is {size!r}, which is no dim", hint=_HINT)
    if (root := getattr(size, "root", None)) is not None:
        return Dim.derived(_named(root), *_linear(size.fn))
    return _named(size)


def _named(size: Any) -> Dim:
    """A torch.export.Dim of its own."""
    low, high = getattr(size, "min", 0), getattr(size, "max", None)
    return Dim(str(size.__name__), max(1, int(low)), _bound(high))


def _linear(function: Callable[[Any], Any]) -> tuple[int, int]:
    """Factor and offset of a derived dim: torch knows no others than linear ones."""
    offset = int(function(0))
    return int(function(1)) - offset, offset


def _bound(high: Any) -> int | None:
    """Torch's open end is an infinity of its own, or in older versions a huge number."""
    return high if isinstance(high, int) and high < 2**31 - 1 else None
