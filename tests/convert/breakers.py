"""Models that converters choke on, each as small as it can be; the line to blame ends in ``# HERE``."""

from __future__ import annotations

import inspect

import numpy as np
import torch
from torch import Tensor, nn

LOOSE = torch.tensor(2.0)


def blamed(model: type[nn.Module]) -> str:
    """The place that a diagnosis must name: ``breakers.py:31 in forward``."""
    lines, first = inspect.getsourcelines(model)
    at = next(number for number, line in enumerate(lines) if "# HERE" in line)
    function = next(line for line in reversed(lines[: at + 1]) if line.strip().startswith("def "))
    return f"{model.__module__.rpartition('.')[2]}.py:{first + at} in {function.split('def ')[1].split('(')[0]}"


class Branch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:  # HERE
            return x * 2
        return x


class While(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        while x.sum() < 10:  # HERE
            x = x + 1
        return x


class Item(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        n = int(x.abs().max().item())  # HERE
        return x[:n]


class Turns(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        n = x.argmax().item()
        for _ in range(n):  # HERE
            x = x + 1
        return x


class NonZero(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        found = x.nonzero()
        if found.shape[0] > 3:  # HERE
            return found[:3]
        return found


class Mask(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        kept = x[x > 0]
        return kept.mean() if len(kept) else x.sum()  # HERE


class Unique(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.unique(x)  # HERE


class Packed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(4, 5, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, _ = self.rnn(packed)  # HERE
        return nn.utils.rnn.pad_packed_sequence(y, batch_first=True)[0]


class Numpy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.from_numpy(np.tanh(x.detach().numpy()))  # HERE


class Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(4, 5, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.rnn(x)[0]  # HERE


class Loop(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(x.shape[0], x.shape[2])
        for t in range(x.shape[1]):  # HERE
            h = torch.tanh(h + x[:, t])
        return h


class Rows(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([row * 2 for row in x.unbind(1)])  # HERE


class PlainInt(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        n = int(x.shape[1])  # HERE
        return x * n


class SizeBranch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] == 6:  # HERE
            return x * 2
        return x


class Reshaped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(2, 6, 4).sum(1)  # HERE


class Halved(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(2, -1, 2, 4)  # HERE


class AtLeast(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.avg_pool1d(x.transpose(1, 2), 3)  # HERE


class Sum(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y  # HERE


class View(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(0, 1).view(-1)  # HERE


class Added(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.ones(6, 4))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table  # HERE


class Cummax(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cummax(x, dim=1)[0]  # HERE


class Median(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.median(x, dim=1)[0]  # HERE


class StableSort(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sort(x, dim=1, stable=True)[0]  # HERE


class Fourier(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.rfft(x, dim=-1).abs()  # HERE


class ShortFourier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(4))

    def forward(self, x: Tensor) -> Tensor:
        return torch.stft(x.flatten(1), 4, 2, window=self.window, return_complex=True).abs()  # HERE


class Complex(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.view_as_complex(x.reshape(2, 12, 2)).abs()  # HERE


class Shift(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.long() << 2  # HERE


class Solve(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.linalg.solve(x @ x.transpose(1, 2) + torch.eye(6), x)  # HERE


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        index = torch.zeros(2, 6, 4, dtype=torch.long)
        return torch.zeros(2, 6, 4).scatter_reduce(1, index, x, "mean", include_self=False)  # HERE


class Histogram(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.histc(x, 10)  # HERE


class Searched(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.searchsorted(torch.arange(4.0), x)  # HERE


class HalfConv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(6, 2, 3).bfloat16()

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.bfloat16()).float()  # HERE


class DoubleConv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(6, 2, 3).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.double())  # HERE


class Nested(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.nested.nested_tensor([x[0], x[1, :1]]).to_padded_tensor(0.0)  # HERE


class Gradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient


class OwnFunction(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return Gradient.apply(x)  # HERE


class StarArguments(nn.Module):
    def total(self, *many: Tensor) -> Tensor:  # HERE
        return sum(many)

    def forward(self, x: Tensor) -> Tensor:
        return self.total(x, x)


class KeywordOnly(nn.Module):
    def scaled(self, x: Tensor, *, by: float = 2.0) -> Tensor:  # HERE
        return x * by

    def forward(self, x: Tensor) -> Tensor:
        return self.scaled(x)


class Format(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        key = f"{x.dim()}d"  # HERE
        return {"2d": x, "3d": x * 2}[key]


class Try(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        try:  # HERE
            return x * 2
        except ValueError:
            return x


class Import(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        import math  # HERE

        return x * math.pi


class NumpyConstant(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * float(np.sqrt(2.0))  # HERE


class Lambda(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.act = lambda x: x.clamp(min=0)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x)  # HERE


class NewAttribute(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        self.last = x  # HERE
        return x * 2


class Untyped(nn.Module):
    def scaled(self, x, n):
        return x * n

    def forward(self, x: Tensor) -> Tensor:
        return self.scaled(x, 3)  # HERE


class TwoReturns(nn.Module):
    def forward(self, x):
        if x.shape[0] > 3:
            return x, x
        return x  # HERE


class PlainList(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(4, 4)]

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:  # HERE
            x = layer(x)
        return x


class ByNumber(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])

    def forward(self, x: Tensor) -> Tensor:
        i = 0
        while i < 2:
            x = self.layers[i](x)  # HERE
            i += 1
        return x


class Global(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * LOOSE  # HERE


class ToList(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tensor(x.sum(0).tolist())  # HERE


class OldType(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.type(torch.FloatTensor)  # HERE


class NoGrad(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():  # HERE
            return x * 2


class Text(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, str]:
        return x, "label"


class Ids(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.table(x)  # HERE


class Exits(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise SystemExit(3)  # HERE


class Deep(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return self.forward(x + 1)  # HERE


class Storage(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.set_(x.untyped_storage())  # HERE


class Pointer(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x.data_ptr()  # HERE
