"""Small models of the kinds that converters choke on, each as a source dict: ``models.py:NAME`` can be shipped."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own custom
from torch import Tensor, nn
from torch.export import Dim


class Convolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
        self.head = nn.Linear(16, 5)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.body(image))


def cnn() -> dict[str, Any]:
    return {"model": Convolutions().eval(), "args": (torch.randn(2, 3, 16, 16),)}


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 10, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(20, 4)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.lstm(x)
        return self.head(states)


def lstm() -> dict[str, Any]:
    """The length is what torch.export bakes into an LSTM."""
    batch, length = Dim("batch", min=1, max=16), Dim("length", min=1, max=50)
    return {
        "model": Recurrent().eval(), "args": (torch.randn(3, 7, 6),), "dynamic_shapes": {"x": {0: batch, 1: length}},
    }  # fmt: skip


class Attentive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        return self.head(self.encoder(x, src_key_padding_mask=padding))


def encoder() -> dict[str, Any]:
    """``padding`` is True where a position is to be left out; the first never is, or all of a row would be NaN."""
    batch, length = Dim("batch", min=1, max=8), Dim("length", min=2, max=40)

    def padded(rows: int, positions: int) -> tuple[Tensor, Tensor]:
        padding = torch.rand(rows, positions) > 0.7
        padding[:, 0] = False
        return torch.randn(rows, positions, 16), padding

    return {
        "model": Attentive().eval(), "args": padded(2, 9),
        "dynamic_shapes": {"x": {0: batch, 1: length}, "padding": {0: batch, 1: length}},
        "fresh": [padded(1, 5), padded(3, 17), padded(8, 40), padded(2, 2)],
    }  # fmt: skip


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 12)
        self.head = nn.Linear(12, 50)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.head(self.table(tokens).cumsum(dim=1))
        return scores, scores.argmax(dim=-1)


def embedding() -> dict[str, Any]:
    """int64 in, float32 and int64 out."""
    batch, length = Dim("batch", min=1, max=32), Dim("length", min=1, max=64)
    return {
        "model": Tokens().eval(), "args": (torch.randint(0, 50, (2, 7)),),
        "dynamic_shapes": {"tokens": {0: batch, 1: length}},
    }  # fmt: skip


class TwoByTwo(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Linear(4, 6)
        self.right = nn.Linear(5, 6)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        left, right = self.left(a), self.right(b)
        return torch.tanh(left @ right.transpose(0, 1)), left.sum(dim=1) > 0


def two_by_two() -> dict[str, Any]:
    """Two inputs with dims of their own, a float and a bool output."""
    return {
        "model": TwoByTwo().eval(), "args": (torch.randn(3, 4), torch.randn(4, 5)),
        "dynamic_shapes": {"a": {0: Dim("rows", min=1, max=64)}, "b": {0: Dim("columns", min=1, max=64)}},
    }  # fmt: skip


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(8, 8)

    def forward(self, x: Tensor, *, scale: Tensor) -> dict[str, Tensor]:
        hidden = F.gelu(self.body(x)) * scale
        return {"hidden": hidden, "score": hidden.softmax(dim=-1).amax(dim=-1)}


def dict_output() -> dict[str, Any]:
    return {
        "model": Named().eval(), "args": (torch.randn(2, 8),), "kwargs": {"scale": torch.tensor([1.5])},
        "dynamic_shapes": {"x": {0: Dim("batch", min=1, max=100)}},
    }  # fmt: skip


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(4, 4)
        self.down = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return self.up(x)
        return self.down(x) * 2


def branch() -> dict[str, Any]:
    """Which layer answers depends on the values."""
    torch.manual_seed(0)
    return {
        "model": Branching().eval(), "args": (torch.ones(2, 4),), "dynamic_shapes": {"x": {0: Dim("rows", max=30)}},
        "fresh": [(torch.randn(3, 4) - 2,), (torch.randn(5, 4) + 2,)],
    }  # fmt: skip


class Looping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.Linear(11, 8)

    def forward(self, x: Tensor) -> Tensor:
        state = torch.zeros(x.shape[0], 8)
        for step in range(x.shape[1]):
            state = torch.tanh(self.cell(torch.cat([x[:, step], state], dim=1)))
        return state


def loop() -> dict[str, Any]:
    """As many steps as the input is long."""
    return {
        "model": Looping().eval(), "args": (torch.randn(2, 5, 3),),
        "dynamic_shapes": {"x": {0: Dim("batch", min=1, max=16), 1: Dim("length", min=1, max=30)}},
    }  # fmt: skip


class ScatterMean(nn.Module):
    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        return torch.zeros(4, x.shape[1]).scatter_reduce(0, index, x, "mean", include_self=False)


def scatter_mean() -> dict[str, Any]:
    """torch's ONNX exporter makes a sum of the mean."""
    return {
        "model": ScatterMean().eval(), "args": (torch.randn(6, 3), torch.randint(0, 4, (6, 3))),
        "dynamic_shapes": {"x": {0: Dim("rows", min=1, max=40)}, "index": {0: Dim("rows", min=1, max=40)}},
    }  # fmt: skip


class TrainingNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4, track_running_stats=False)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(x))


def batch_statistics() -> dict[str, Any]:
    """A norm without running statistics takes those of the batch, also in eval mode."""
    return {
        "model": TrainingNorm().eval(), "args": (torch.randn(5, 4),),
        "dynamic_shapes": {"x": {0: Dim("rows", min=2, max=40)}},
    }  # fmt: skip


class Shaped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[0] > 4:
            return x * 2
        return x + 1


def shape_branch() -> dict[str, Any]:
    """A Python branch on a size that is declared dynamic."""
    return {"model": Shaped().eval(), "args": (torch.randn(3, 4),), "dynamic_shapes": {"x": {0: Dim("n", max=30)}}}


class Precise(nn.Module):
    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)).to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def _precise(dtype: torch.dtype) -> dict[str, Any]:
    return {"model": Precise(dtype).eval(), "args": (torch.randn(3, 8, dtype=dtype),)}


def half() -> dict[str, Any]:
    return _precise(torch.float16)


def brain() -> dict[str, Any]:
    return _precise(torch.bfloat16)


def double() -> dict[str, Any]:
    return _precise(torch.float64)


class Unused(nn.Module):
    def forward(self, x: Tensor, ignored: Tensor) -> Tensor:
        return torch.relu(x) - 1


def unused_input() -> dict[str, Any]:
    return {"model": Unused().eval(), "args": (torch.randn(3, 4), torch.randn(3, 2))}


class Whole(nn.Module):
    def forward(self, n: Tensor) -> tuple[Tensor, Tensor]:
        return n * 3_000_000_000, n.to(torch.int32) + 1


def big_integers() -> dict[str, Any]:
    """int64 answers beyond what int32 holds."""
    return {"model": Whole().eval(), "args": (torch.randint(-5, 9, (4,)),)}


class Passing(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        twice = x + x
        return {"same": x, "twice": twice, "again": twice}


def passing() -> dict[str, Any]:
    """An output that is an input, and one that is another output."""
    return {"model": Passing().eval(), "args": (torch.randn(3, 4),)}


class Denoiser(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(16))

    def forward(self, sound: Tensor) -> Tensor:
        spectrum = torch.stft(sound, 16, 4, window=self.window, return_complex=True)
        return torch.istft(spectrum * torch.sigmoid(spectrum.abs()), 16, 4, window=self.window, length=64)


def denoiser() -> dict[str, Any]:
    """To a spectrogram and back."""
    return {
        "model": Denoiser().eval(), "args": (torch.randn(2, 64),),
        "dynamic_shapes": {"sound": {0: Dim("batch", min=1, max=8)}},
    }  # fmt: skip


class Spectrum(nn.Module):
    """AOTInductor leaves Fourier transforms to torch's dispatcher, by a file beside the code."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.irfft(torch.fft.rfft(x) * 0.5, n=x.shape[-1])


def spectrum() -> dict[str, Any]:
    return {
        "model": Spectrum().eval(), "args": (torch.randn(3, 16),),
        "dynamic_shapes": {"x": {0: Dim("batch", min=1, max=16)}},
    }  # fmt: skip


class Styled(nn.Module):
    """Each sample has weights of its own, as StyleGAN's: one convolution with as many groups as samples."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Linear(4, 3 * 2 * 9)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        rows, _, height, width = x.shape
        weights = self.weights(style).view(rows * 3, 2, 3, 3)
        return nn.functional.conv2d(x.reshape(1, -1, height, width), weights, padding=1, groups=rows).view(
            rows, 3, height, width
        )


def styled() -> dict[str, Any]:
    batch = Dim("batch", min=1, max=16)
    return {
        "model": Styled().eval(), "args": (torch.randn(3, 2, 6, 6), torch.randn(3, 4)),
        "dynamic_shapes": {"x": {0: batch}, "style": {0: batch}},
    }  # fmt: skip
