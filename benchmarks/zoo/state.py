"""Breakers: modes, memory, chance."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from entry import entry
from torch import nn
from torch.export import Dim

ROWS = Dim("rows", min=2, max=24)


def _rows(model: nn.Module) -> dict[str, Any]:
    return {"model": model, "args": (torch.randn(3, 4),), "dynamic_shapes": {"x": {0: ROWS}}}


class _Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return self.layer(x) * self.calls


@entry
def buffer_counter() -> dict[str, Any]:
    return _rows(_Counter().eval())


class _Silent(nn.Module):
    """Counts its calls, which no answer shows."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, x):
        self.calls.add_(1)
        return self.layer(x)


@entry
def silent_counter() -> dict[str, Any]:
    return _rows(_Silent().eval())


class _Average(nn.Module):
    """A running mean that goes on in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
        return x - self.mean


@entry
def running_mean() -> dict[str, Any]:
    return _rows(_Average().eval())


class _InPlace(nn.Module):
    """Changes what it was given; the answer is right all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        x.clamp_(min=0)
        x[:, 0] = 1
        return self.layer(x)


@entry
def input_mutation() -> dict[str, Any]:
    return _rows(_InPlace().eval())


class _Writes(nn.Module):
    """In-place writes into tensors of its own, by slices and masks."""

    def forward(self, x):
        out = torch.zeros(x.shape[0], 6)
        out[:, :4] = x
        out[:, 4] = x.sum(1)
        out[out > 1] = 1
        out[:, 5].fill_(2)
        out[0] += 1
        return out


@entry
def slice_writes() -> dict[str, Any]:
    return _rows(_Writes().eval())


@entry
def forgotten_eval() -> dict[str, Any]:
    """The root is in training mode: ship must put it into eval mode, with a warning."""
    source = _rows(
        nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2)).train()
    )
    source["dynamic_shapes"] = {"input": {0: ROWS}}
    return source


class _Monte(nn.Module):
    """Monte-Carlo dropout: drawn in eval mode too."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        return self.layer(F.dropout(x, 0.5, training=True))


@entry
def dropout_forced() -> dict[str, Any]:
    return _rows(_Monte().eval())


class _Dropless(nn.Module):
    """``F.dropout`` without ``training=self.training``: the classic mistake, right only by p=0."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.p = 0.0

    def forward(self, x):
        return self.layer(F.dropout(x, self.p))


@entry
def dropout_zero() -> dict[str, Any]:
    return _rows(_Dropless().eval())


class _TrainNorm(nn.Module):
    """A batch norm which is left in training mode below a root in eval mode, without running statistics to change."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 6)
        self.norm = nn.BatchNorm1d(6, track_running_stats=False)

    def forward(self, x):
        return self.norm(self.layer(x))


@entry
def batch_statistics() -> dict[str, Any]:
    return _rows(_TrainNorm().eval())


class _TestTime(nn.Module):
    """Test-time adaptation: a batch norm kept in training mode on purpose, its statistics moving."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 6)
        self.norm = nn.BatchNorm1d(6)

    def forward(self, x):
        return self.norm(self.layer(x))


@entry
def norm_training() -> dict[str, Any]:
    model = _TestTime().eval()
    model.norm.train()
    return _rows(model)


class _Noisy(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x) * 0.1


@entry
def random_noise() -> dict[str, Any]:
    return _rows(_Noisy().eval())


class _Generator(nn.Module):
    """Draws, but always the same: a generator with a fixed seed."""

    def forward(self, x):
        noise = torch.randn(x.shape[1], generator=torch.Generator().manual_seed(3))
        return x + noise


@entry
def seeded_noise() -> dict[str, Any]:
    return _rows(_Generator().eval())


class _Memo(nn.Module):
    """Remembers its first answer's shape in a Python attribute, and a table by length in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[int, torch.Tensor] = {}

    def forward(self, x):
        if x.shape[0] not in self.tables:
            self.tables[x.shape[0]] = torch.arange(x.shape[0], dtype=torch.float32)[:, None]
        return x + self.tables[x.shape[0]]


@entry
def memo_table() -> dict[str, Any]:
    return _rows(_Memo().eval())


class _Cache(nn.Module):
    """Keys and values of the past in, and out again with the new ones."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x, past_key=None, past_value=None):
        q, k, v = self.q(x), self.k(x), self.v(x)
        if past_key is not None:
            k, v = torch.cat([past_key, k], dim=1), torch.cat([past_value, v], dim=1)
        return F.scaled_dot_product_attention(q, k, v), k, v


@entry
def key_value_cache() -> dict[str, Any]:
    past = {0: Dim("rows", min=1, max=8), 1: Dim("past", min=1, max=32)}
    return {
        "model": _Cache().eval(), "args": (torch.randn(2, 1, 8), torch.randn(2, 5, 8), torch.randn(2, 5, 8)),
        "dynamic_shapes": {"x": {0: past[0]}, "past_key": past, "past_value": past},
    }  # fmt: skip
