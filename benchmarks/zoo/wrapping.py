"""Breakers: what people wrap around modules."""

from __future__ import annotations

import functools
from typing import Any

import torch
from entry import entry
from torch import nn
from torch.export import Dim

ROWS = Dim("rows", min=1, max=24)


def _rows(model: nn.Module, name: str = "x") -> dict[str, Any]:
    return {"model": model.eval(), "args": (torch.randn(3, 4),), "dynamic_shapes": {name: {0: ROWS}}}


class _Plain(nn.Module):
    def __init__(self, width: int = 8, activation: Any = torch.relu) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, width), nn.Linear(width, 2)
        self.activation = activation

    def forward(self, x):
        return self.second(self.activation(self.first(x)))


@entry
def forward_hooks() -> dict[str, Any]:
    """A hook that changes the answer, and a pre-hook that changes the input."""
    model = _Plain()
    model.first.register_forward_hook(lambda _module, _args, output: output * 2)
    model.second.register_forward_pre_hook(lambda _module, args: (args[0] + 1,))
    return _rows(model)


@entry
def feature_hook() -> dict[str, Any]:
    """A hook that only keeps what it sees, as people do for features."""
    model = _Plain()
    seen: dict[str, torch.Tensor] = {}
    model.first.register_forward_hook(lambda _module, _args, output: seen.update(first=output.detach()))
    return _rows(model)


@entry
def weight_norm() -> dict[str, Any]:
    from torch.nn.utils.parametrizations import weight_norm as parametrized

    model = _Plain()
    parametrized(model.first)
    return _rows(model)


@entry
def weight_norm_hook() -> dict[str, Any]:
    """The old one, by a hook."""
    import warnings

    from torch.nn.utils import weight_norm as hooked

    model = _Plain()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hooked(model.first)
    return _rows(model)


@entry
def spectral_norm() -> dict[str, Any]:
    from torch.nn.utils.parametrizations import spectral_norm as parametrized

    model = _Plain()
    parametrized(model.first)
    return _rows(model)


class _Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, slope):
        ctx.slope = slope
        return torch.where(x > 0, x.round(), x * slope)

    @staticmethod
    def backward(ctx, grad):
        return grad, None


class _Custom(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return _Straight.apply(self.layer(x), 0.1)


@entry
def autograd_function() -> dict[str, Any]:
    return _rows(_Custom())


@entry
def data_parallel() -> dict[str, Any]:
    source = _rows(nn.DataParallel(_Plain()))
    return source | {"dynamic_shapes": None, "args": (torch.randn(3, 4),)}


class _Lambda(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@entry
def lambdas() -> dict[str, Any]:
    return _rows(
        nn.Sequential(nn.Linear(4, 6), _Lambda(lambda x: x.view(x.size(0), 2, 3)), _Lambda(lambda x: x.mean(-1))),
        "input",
    )


def _built(width: int, bias: float) -> dict[str, Any]:
    torch.manual_seed(2)
    return _rows(_Plain(width, activation=lambda x: torch.nn.functional.gelu(x) + bias))


partial_factory = entry(functools.partial(_built, 12, bias=0.5))


class _LightningLike(nn.Module):
    """What a LightningModule looks like: hyperparameters, a trainer that isn't there, steps beside forward."""

    def __init__(self, lr: float = 1e-3) -> None:
        super().__init__()
        self.hparams = {"lr": lr, "nested": {"width": 8}}
        self._trainer = None
        self.net = _Plain()
        self.loss = nn.CrossEntropyLoss()
        self.example_input_array = torch.randn(2, 4)

    @property
    def trainer(self):
        if self._trainer is None:
            raise RuntimeError(f"{type(self).__qualname__} is not attached to a `Trainer`.")
        return self._trainer

    @property
    def device(self):
        return next(self.parameters()).device

    def forward(self, x):
        return self.net(x.to(self.device))

    def training_step(self, batch, batch_idx):
        loss = self.loss(self(batch[0]), batch[1])
        self.log("loss", loss)
        return loss

    def log(self, name, value):
        self.trainer.logger.log(name, value)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams["lr"])


@entry
def lightning_like() -> dict[str, Any]:
    return _rows(_LightningLike())


class _Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Linear(4, 6, bias=False)
        self.decode = nn.Linear(6, 4, bias=False)
        self.decode.weight = nn.Parameter(self.encode.weight.t())
        self.again = self.encode

    def forward(self, x):
        return self.decode(torch.relu(self.again(x))), x @ self.encode.weight.t()


@entry
def tied_weights() -> dict[str, Any]:
    return _rows(_Tied())


class _Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))

    def forward(self, x):
        from torch.utils.checkpoint import checkpoint

        for block in self.blocks:
            x = torch.relu(checkpoint(block, x, use_reentrant=False))
        return x


@entry
def gradient_checkpoint() -> dict[str, Any]:
    return _rows(_Checkpointed())


@entry
def scripted_inside() -> dict[str, Any]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inner = torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
    return _rows(nn.Sequential(inner, nn.Linear(4, 2)), "input")


class _Any(nn.Module):
    """``*args`` and ``**kwargs`` in forward, as wrappers have."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = _Plain()

    def forward(self, *args, **kwargs):
        return self.inner(*args, **kwargs)


@entry
def star_arguments() -> dict[str, Any]:
    return {"model": _Any().eval(), "args": (torch.randn(3, 4),)}


@entry
def no_grad_forward() -> dict[str, Any]:
    """forward under ``@torch.no_grad()`` and autocast switched off, as inference code is decorated."""

    class Decorated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = _Plain()

        @torch.no_grad()
        def forward(self, x):
            with torch.autocast("cpu", enabled=False):
                return self.inner(x)

    return _rows(Decorated())
