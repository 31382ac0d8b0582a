"""Breakers: what goes in and comes out, other than tensors one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

import torch
from entry import entry
from torch import nn
from torch.export import Dim

ROWS = Dim("rows", min=1, max=24)


class Boxes(NamedTuple):
    corners: torch.Tensor
    scores: torch.Tensor


@dataclass
class Found:
    logits: torch.Tensor
    hidden: torch.Tensor
    extra: Optional[torch.Tensor] = None


class _Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)


class _NamedTuple(_Layer):
    def forward(self, x):
        y = self.layer(x)
        return Boxes(corners=y, scores=y.sum(1))


@entry
def named_tuple_output() -> dict[str, Any]:
    return {"model": _NamedTuple().eval(), "args": (torch.randn(3, 4),), "dynamic_shapes": {"x": {0: ROWS}}}


class _Dataclass(_Layer):
    def forward(self, x):
        y = self.layer(x)
        return Found(logits=y.relu(), hidden=y)


@entry
def dataclass_output() -> dict[str, Any]:
    return {"model": _Dataclass().eval(), "args": (torch.randn(3, 4),), "dynamic_shapes": {"x": {0: ROWS}}}


class _NestedIn(_Layer):
    def forward(self, batch, extra):
        a, (b, c) = batch["a"], batch["pair"]
        return {"sum": self.layer(a) + b, "parts": [c, (a, extra[0])], "none": None}


@entry
def nested_structures() -> dict[str, Any]:
    rows = {0: ROWS}
    return {
        "model": _NestedIn().eval(),
        "args": ({"a": torch.randn(3, 4), "pair": (torch.randn(3, 4), torch.randn(3, 1))}, [torch.randn(3, 2)]),
        "dynamic_shapes": {"batch": {"a": rows, "pair": (rows, rows)}, "extra": [rows]},
    }  # fmt: skip


class _NamedIn(_Layer):
    def forward(self, boxes: Boxes):
        return self.layer(boxes.corners) * boxes.scores[:, None]


@entry
def named_tuple_input() -> dict[str, Any]:
    return {
        "model": _NamedIn().eval(), "args": (Boxes(torch.randn(3, 4), torch.randn(3)),),
        "dynamic_shapes": {"boxes": ({0: ROWS}, {0: ROWS})},
    }  # fmt: skip


class _Optional(_Layer):
    def forward(self, x, mask: Optional[torch.Tensor] = None, scale: Optional[float] = None, flag: bool = False):
        y = self.layer(x)
        if mask is not None:
            y = y * mask
        if scale is not None:
            y = y * scale
        return -y if flag else y


@entry
def optional_none() -> dict[str, Any]:
    return {
        "model": _Optional().eval(), "args": (torch.randn(3, 4), None, 0.5), "dynamic_shapes": {"x": {0: ROWS}}
    }  # fmt: skip


class _Keyword(_Layer):
    def forward(self, x, *, bias, mode="mean", dims=(1,)):
        y = self.layer(x) + bias
        if mode == "mean":
            return y.mean(dims)
        elif mode == "sum":
            return y.sum(dims)
        raise ValueError(mode)


@entry
def keyword_constants() -> dict[str, Any]:
    return {
        "model": _Keyword().eval(), "args": (torch.randn(3, 4),),
        "kwargs": {"bias": torch.randn(3, 4), "mode": "sum", "dims": (1,)},
        "dynamic_shapes": {"x": {0: ROWS}, "bias": {0: ROWS}},
    }  # fmt: skip


class _Scalars(_Layer):
    def forward(self, x):
        y = self.layer(x)
        return y.mean(), y.argmax(), (y > 0).any(), y.shape[1], 3.5, "done", None


@entry
def scalar_outputs() -> dict[str, Any]:
    return {"model": _Scalars().eval(), "args": (torch.randn(3, 4),), "dynamic_shapes": {"x": {0: ROWS}}}


class _Same(_Layer):
    """An output which is an input, one which is a weight, one given twice, a constant."""

    def forward(self, x):
        y = self.layer(x)
        return x, self.layer.weight, y, y, torch.ones(2)


@entry
def passed_through() -> dict[str, Any]:
    return {"model": _Same().eval(), "args": (torch.randn(3, 4),), "dynamic_shapes": {"x": {0: ROWS}}}


class _Unused(_Layer):
    def forward(self, x, unused):
        return self.layer(x)


@entry
def unused_input() -> dict[str, Any]:
    return {
        "model": _Unused().eval(), "args": (torch.randn(3, 4), torch.randn(3, 7)),
        "dynamic_shapes": {"x": {0: ROWS}, "unused": {0: ROWS}},
    }  # fmt: skip


class _ScalarIn(_Layer):
    def forward(self, x, temperature):
        return torch.softmax(self.layer(x) / temperature, -1)


@entry
def scalar_tensor_input() -> dict[str, Any]:
    return {
        "model": _ScalarIn().eval(), "args": (torch.randn(3, 4), torch.tensor(0.7)), "dynamic_shapes": {"x": {0: ROWS}}
    }  # fmt: skip
