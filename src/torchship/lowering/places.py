"""Diagonals, triangles, and convolutions whose weights are computed: by slices and places instead of operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own custom
from torch import Tensor
from torch.export import ExportedProgram

from torchship.lowering.program import Table, nodes

aten = torch.ops.aten


def _diagonal(x: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """Every so many of the values that the two axes hold, laid out one behind the other."""
    rows = x.movedim((dim1, dim2), (-2, -1))
    height, width = rows.shape[-2:]
    top, left = max(-offset, 0), max(offset, 0)
    down, right = height - top, width - left
    count = down if down is right or down == right else torch.sym_min(down, right)  # type: ignore[no-untyped-call]
    places = torch.arange(count) * (width + 1) + (top * width + left)
    return rows.flatten(-2).index_select(-1, places)


def _tril_indices(row: int, col: int, offset: int = 0, **_: Any) -> Tensor:
    return _triangle(row, col, lambda i, j: j - i <= offset)


def _triu_indices(row: int, col: int, offset: int = 0, **_: Any) -> Tensor:
    return _triangle(row, col, lambda i, j: j - i >= offset)


def _triangle(row: int, col: int, within: Callable[[Any, Any], Any]) -> Tensor:
    """The places that are ``within``: as many of the smallest, all others being made larger than any."""
    count = sum(within(i, j) for i in range(row) for j in range(col))
    flat = torch.arange(row * col)
    i, j = torch.div(flat, max(col, 1), rounding_mode="floor"), torch.remainder(flat, max(col, 1))
    places = torch.where(within(i, j), flat, row * col).sort()[0][:count]
    return torch.stack([torch.div(places, max(col, 1), rounding_mode="floor"), torch.remainder(places, max(col, 1))])


def _empty(size: Sequence[Any], *_: Any, dtype: torch.dtype | None = None, **__: Any) -> Tensor:
    return torch.zeros(size, dtype=dtype)


def unfold(x: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """``aten::unfold``: the windows' places, and then the windows themselves on an axis at the end."""
    axis = dimension % max(x.dim(), 1)
    count = (x.shape[axis] - size) // step + 1
    places = torch.arange(count).unsqueeze(-1) * step + torch.arange(size)
    windows = x.index_select(axis, places.flatten())
    return windows.reshape(*x.shape[:axis], count, size, *x.shape[axis + 1 :]).movedim(axis + 1, -1)


def convolution(  # noqa: PLR0913, PLR0917 - torch's own signature
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Sequence[int], padding: Sequence[int],
    dilation: Sequence[int], transposed: bool, output_padding: Sequence[int], groups: Any,  # noqa: ARG001
) -> Any:  # fmt: skip
    """Where the weights' own sizes are open, each sample has its own: a product of matrices a group."""
    fixed = all(isinstance(size, int) for size in (*weight.shape, groups))
    if fixed or transposed:
        return NotImplemented
    columns, sizes = _columns(x, weight.shape[2:], stride, padding, dilation)
    inner, kernel = weight.shape[1], weight[0, 0].numel()
    columns = columns.reshape(x.shape[0], groups, inner * kernel, -1)
    answer = weight.reshape(groups, -1, inner * kernel) @ columns
    answer = answer.reshape(x.shape[0], weight.shape[0], *sizes)
    return answer if bias is None else answer + bias.reshape(-1, *[1] * len(sizes))


def has_weights_of_its_own(program: ExportedProgram) -> bool:
    """Whether a convolution's weights, or their groups, have an open size."""
    return any(
        node.target in CONVOLUTIONS and not all(isinstance(size, int) for size in _weight_sizes(node))
        for node in nodes(program)
    )


def _weight_sizes(node: torch.fx.Node) -> list[Any]:
    """The sizes of a convolution's weights, and its groups, which come last of its arguments."""
    weight = node.args[1]
    sizes = weight.meta["val"].shape if isinstance(weight, torch.fx.Node) else ()
    return [*sizes, *(each for each in node.args[-1:] if isinstance(each, torch.fx.Node))]


def _columns(
    x: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
) -> tuple[Tensor, list[Any]]:
    """What each place of the kernel sees, on an axis after the channels'; and the answer's sizes."""
    x = F.pad(x, [pad for each in reversed(padding) for pad in (each, each)])
    sizes = [
        (size - spread * (width - 1) - 1) // step + 1
        for size, width, step, spread in zip(x.shape[2:], kernel, stride, dilation, strict=True)
    ]
    seen = [x]
    for axis, (width, step, spread, size) in enumerate(zip(kernel, stride, dilation, sizes, strict=True), 2):
        seen = [
            aten.slice.Tensor(each, axis, place * spread, place * spread + (size - 1) * step + 1, step)
            for each in seen
            for place in range(width)
        ]
    return torch.stack(seen, 2), sizes


CONVOLUTIONS = (
    aten.convolution.default, aten.conv1d.default, aten.conv2d.default, aten.conv3d.default, aten.conv1d.padding,
    aten.conv2d.padding, aten.conv3d.padding,
)  # fmt: skip
PLACES: Table = {
    aten.diagonal.default: _diagonal,
    aten.tril_indices.default: _tril_indices,
    aten.triu_indices.default: _triu_indices,
    aten.empty_permuted.default: _empty,
}
