"""Sorting, ranks and running operators, by way of the largest of many.

Running maxima and the like compare every element with all before it: as many pairs as the length squared.
"""

from __future__ import annotations

import torch
from torch import Tensor

from torchship.lowering.program import Table
from torchship.lowering.refusal import UnloweredError

_LONGEST = 4096  # elements that a running operator may go over: 16 million pairs
aten = torch.ops.aten


def _sort(x: Tensor, *, stable: bool = True, dim: int = -1, descending: bool = False) -> tuple[Tensor, Tensor]:  # noqa: ARG001
    """ONNX's TopK gives equal elements in the order of their places, and so does a stable sort."""
    return torch.topk(x, x.shape[dim], dim, largest=descending, sorted=True)


def _argsort(x: Tensor, *, stable: bool = True, dim: int = -1, descending: bool = False) -> Tensor:  # noqa: ARG001
    return _sort(x, dim=dim, descending=descending)[1]


def _kthvalue(x: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    values, places = torch.topk(x, x.shape[dim], dim, largest=False, sorted=True)
    values, places = values.narrow(dim, k - 1, 1), places.narrow(dim, k - 1, 1)
    return (values, places) if keepdim else (values.squeeze(dim), places.squeeze(dim))


def _median(x: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    return _kthvalue(x, (x.shape[dim] - 1) // 2 + 1, dim, keepdim)


def _median_of_all(x: Tensor) -> Tensor:
    return _median(x.reshape(-1), 0)[0]


def _searchsorted(
    edges: Tensor, x: Tensor, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:  # fmt: skip
    if sorter is not None:
        raise UnloweredError(
            "searchsorted with a sorter has no plain arithmetic", "sort the edges first: edges[sorter]"
        )
    ordered = edges.unsqueeze(-2) if edges.dim() > 1 else edges
    value = x.unsqueeze(-1)
    below = ordered <= value if right or side == "right" else ordered < value
    return below.sum(-1, dtype=torch.int32 if out_int32 else torch.int64)


def _before(x: Tensor, dim: int, neutral: float) -> tuple[Tensor, Tensor, int]:
    """For each element all up to it, on a last axis of their own, ``neutral`` behind it; and which those are."""
    axis = dim % max(x.dim(), 1)
    rows = x.movedim(axis, -1)
    length = rows.shape[-1]
    if isinstance(length, int) and length > _LONGEST:
        raise UnloweredError(
            f"a running operator over {length} elements would take {length}² of them", "run it over shorter pieces"
        )
    places = torch.arange(length, device=x.device)
    seen = places.unsqueeze(-1) >= places
    return torch.where(seen, rows.unsqueeze(-2), torch.full((), neutral, dtype=x.dtype)), seen, axis


def _lowest(x: Tensor) -> float:
    return float("-inf") if x.is_floating_point() else torch.iinfo(x.dtype).min


def _cummax(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Of equal maxima the last one's place, as torch gives it."""
    all_before, seen, axis = _before(x, dim, _lowest(x))
    best = all_before.amax(-1)
    places = torch.arange(seen.shape[0], device=x.device)
    where = torch.where((all_before == best.unsqueeze(-1)) & seen, places, -1).amax(-1)
    return best.movedim(-1, axis), where.movedim(-1, axis)


def _cummin(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    values, places = _cummax(-x, dim)
    return -values, places


def _logcumsumexp(x: Tensor, dim: int) -> Tensor:
    all_before, _, axis = _before(x, dim, float("-inf"))
    return torch.logsumexp(all_before, -1).movedim(-1, axis)


def _cumprod(x: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Tensor:
    all_before, _, axis = _before(x if dtype is None else x.to(dtype), dim, 1.0)
    return all_before.prod(-1).movedim(-1, axis)


RUNNING: Table = {
    aten.kthvalue.default: _kthvalue,
    aten.median.dim: _median,
    aten.median.default: _median_of_all,
    aten.searchsorted.Tensor: _searchsorted,
    aten.cummax.default: _cummax,
    aten.cummin.default: _cummin,
    aten.cumprod.default: _cumprod,
    aten.logcumsumexp.default: _logcumsumexp,
}
SORTING: Table = {aten.sort.stable: _sort, aten.argsort.stable: _argsort}
