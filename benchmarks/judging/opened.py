"""A model of the zoo, opened as its user would: in eval mode, with the example's structure at hand. Needs torch."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class Opened:
    """The source dict, read without torchship."""

    def __init__(self, file: Path, name: str) -> None:
        sys.path.insert(0, str(file.parent))
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[file.stem] = module
        spec.loader.exec_module(module)
        make = getattr(module, name)
        source = make()
        self.model = source["model"]
        if self.model.training:
            self.model.eval()
        self.preprocess, self.postprocess = source.get("preprocess"), source.get("postprocess")
        self.args = source.get("args", ())
        self.args = self.args if isinstance(self.args, tuple) else (self.args,)
        self.kwargs = dict(source.get("kwargs") or {})
        self.fresh = source.get("fresh")
        self.shapes = source.get("dynamic_shapes")
        self.coarse = getattr(make, "coarse", False) or self._reduced()

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Answer as eager does."""
        if self.preprocess is not None:
            args, kwargs = (self.preprocess(*args, **kwargs),), {}
        result = self.model(*args, **kwargs)
        return result if self.postprocess is None else self.postprocess(result)

    def _reduced(self) -> bool:
        tensors = [*self.model.parameters(), *self.model.buffers()]
        return any(each.dtype in (torch.float16, torch.bfloat16) for each in tensors)

    @property
    def named(self) -> dict[str, Any]:
        """The example's arguments by name."""
        entry = self.model if self.preprocess is None else self.preprocess
        bound = inspect.signature(entry.forward).bind(*self.args, **self.kwargs)
        found: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            if bound.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                found.update(value)
            else:
                found[name] = value
        return found

    def dims(self) -> dict[str, Any]:
        """What the user declared: ``ranges`` by dim, ``places`` by (tensor's path, axis): a dim or a rule."""
        if not self.shapes:
            return {}
        shapes = self.shapes if isinstance(self.shapes, Mapping) else dict(zip(self.named, self.shapes, strict=False))
        places: dict[tuple[str, int], Any] = {}
        _walk({name: self.named[name] for name in shapes if name in self.named}, shapes, "", places)
        ranges: dict[str, tuple[int, int | None]] = {}
        for dim in places.values():
            root = getattr(dim, "root", dim)
            high = int(root.max) if root.max < 2**31 - 1 else None
            ranges[root.__name__] = (max(1, int(root.min)), high)
        return {"ranges": ranges, "places": places}

    @staticmethod
    def resolve(dims: Any, place: tuple[str, int], sizes: dict[str, int]) -> int:
        """The size of one axis, when the dims have ``sizes``."""
        dim = dims["places"][place]
        if isinstance(dim, str):
            return sizes[dim]
        root = getattr(dim, "root", None)
        return sizes[dim.__name__] if root is None else int(dim.fn(sizes[root.__name__]))

    def size(self, dims: Any, name: str) -> int:
        """The example's own size of a dim."""
        paths = dict(_tensors(self.named, ""))
        for (path, axis), dim in dims["places"].items():
            if (dim if isinstance(dim, str) else dim.__name__) == name:
                return int(paths[path].shape[axis])
        return dims["ranges"][name][0]  # type: ignore[no-any-return]

    def drawn(self, sizes: dict[tuple[str, int], int], draw: torch.Generator) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """A call like the example, with other values and the given sizes."""
        paths = {id(tensor): path for path, tensor in _tensors(self.named, "")}

        def fresh(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            path = paths[id(value)]
            return _like(value, [sizes.get((path, axis), size) for axis, size in enumerate(value.shape)], draw)

        return _mapped(self.args, fresh), _mapped(self.kwargs, fresh)


def _like(value: Tensor, shape: list[int], draw: torch.Generator) -> Tensor:
    if value.dtype is torch.bool:
        return torch.rand(shape, generator=draw) > 0.5
    if value.is_complex():
        return torch.complex(*(torch.randn(shape, generator=draw) for _ in range(2))).to(value.dtype)
    if value.is_floating_point():
        wide = value.double()
        if float(wide.min()) >= 0:
            return (torch.rand(shape, generator=draw).double() * wide.max()).to(value.dtype)
        spread = float(wide.std()) if value.numel() > 1 else 1.0
        return (torch.randn(shape, generator=draw).double() * spread + float(wide.mean())).to(value.dtype)
    return torch.randint(int(value.min()), int(value.max()) + 1, shape, generator=draw).to(value.dtype)


def _items(value: Any) -> list[tuple[Any, Any]] | None:
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return list(zip(value._fields, value, strict=True))
    return list(enumerate(value)) if isinstance(value, (list, tuple)) else None


def _tensors(value: Any, at: str) -> list[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        return [(at, value)]
    return [found for key, item in _items(value) or [] for found in _tensors(item, f"{at}.{key}" if at else str(key))]


def _walk(value: Any, shapes: Any, at: str, places: dict[tuple[str, int], Any]) -> None:
    if isinstance(value, Tensor):
        axes = dict(enumerate(shapes)) if isinstance(shapes, (list, tuple)) else shapes or {}
        places.update({(at, axis): dim for axis, dim in axes.items() if hasattr(dim, "__name__")})
        return
    for place, (key, item) in enumerate(_items(value) or []):
        below = shapes.get(key) if isinstance(shapes, Mapping) else shapes[place] if shapes else None
        _walk(item, below, f"{at}.{key}" if at else str(key), places)


def _mapped(value: Any, change: Any) -> Any:
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_mapped(item, change) for item in value))
    if isinstance(value, dict):
        return {key: _mapped(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(item, change) for item in value)
    return change(value)
