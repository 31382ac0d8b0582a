"""Breakers: operators that converters lack, or get wrong."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from entry import entry, generator
from torch import nn
from torch.export import Dim

ROWS = Dim("rows", min=1, max=24)


class _Op(nn.Module):
    """A linear layer, then the operator of the subclass."""

    def __init__(self, inputs: int = 8, outputs: int = 8) -> None:
        super().__init__()
        self.layer = nn.Linear(inputs, outputs)


def _rows(model: nn.Module) -> dict[str, Any]:
    return {"model": model.eval(), "args": (torch.randn(3, 8),), "dynamic_shapes": {"x": {0: ROWS}}}


class _Fft(_Op):
    def forward(self, x):
        spectrum = torch.fft.rfft(self.layer(x), norm="ortho")
        return torch.fft.irfft(spectrum * torch.tensor([1, 1, 1, 0, 0]), n=8), spectrum.abs()


@entry
def fft_filter() -> dict[str, Any]:
    return _rows(_Fft())


class _Fnet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)

    def forward(self, x):
        return self.norm(x + torch.fft.fft2(x, dim=(-1, -2)).real)


@entry
def fft_mixing() -> dict[str, Any]:
    return {
        "model": _Fnet().eval(), "args": (torch.randn(2, 6, 8),),
        "dynamic_shapes": {"x": {0: ROWS, 1: Dim("length", min=2, max=20)}},
    }  # fmt: skip


class _Istft(nn.Module):
    """A denoiser of sound: spectrum, mask, back."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(32))
        self.mask = nn.Linear(17, 17)

    def forward(self, x):
        spectrum = torch.stft(x, 32, 8, window=self.window, return_complex=True)
        mask = torch.sigmoid(self.mask(spectrum.abs().transpose(1, 2))).transpose(1, 2)
        return torch.istft(spectrum * mask, 32, 8, window=self.window, length=x.shape[1])


@entry
def stft_mask() -> dict[str, Any]:
    return {"model": _Istft().eval(), "args": (torch.randn(2, 256),), "dynamic_shapes": {"x": {0: ROWS}}}


class _Rotary(_Op):
    """Rotary places by complex numbers, as the first Llama had them."""

    def forward(self, x):
        q = torch.view_as_complex(self.layer(x).reshape(*x.shape[:-1], -1, 2))
        angles = torch.outer(torch.arange(x.shape[1]).float(), 1.0 / (10000 ** (torch.arange(0, 8, 2)[:4].float() / 8)))
        turns = torch.polar(torch.ones_like(angles), angles)
        return torch.view_as_real(q * turns).flatten(2)


@entry
def complex_rotary() -> dict[str, Any]:
    return {
        "model": _Rotary().eval(), "args": (torch.randn(2, 5, 8),),
        "dynamic_shapes": {"x": {0: ROWS, 1: Dim("length", min=1, max=20)}},
    }  # fmt: skip


class _Complex(nn.Module):
    """Complex in, complex out."""

    def forward(self, z):
        return z * z.conj().sum(-1, keepdim=True), z.angle()


@entry
def complex_signal() -> dict[str, Any]:
    return {
        "model": _Complex().eval(), "args": (torch.randn(3, 4, dtype=torch.complex64),),
        "dynamic_shapes": {"z": {0: ROWS}},
    }  # fmt: skip


class _Spatial(nn.Module):
    """A spatial transformer: affine_grid and grid_sample."""

    def __init__(self) -> None:
        super().__init__()
        self.locate = nn.Sequential(
            nn.Conv2d(1, 4, 5), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 6)
        )

    def forward(self, x):
        theta = self.locate(x).view(-1, 2, 3)
        grid = F.affine_grid(theta, x.size(), align_corners=False)
        return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


@entry
def spatial_transformer() -> dict[str, Any]:
    return {"model": _Spatial().eval(), "args": (torch.randn(2, 1, 16, 16),), "dynamic_shapes": {"x": {0: ROWS}}}


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(16, 48)

    def forward(self, x, keep):
        b, t, _ = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, 4, 4).permute(2, 0, 3, 1, 4)
        return (
            F.scaled_dot_product_attention(q, k, v, attn_mask=keep[:, None, None, :]).transpose(1, 2).reshape(b, t, 16),
            F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2),
        )


@entry
def attention_masks() -> dict[str, Any]:
    def example(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        batch, length = [(2, 7), (1, 1), (24, 20), (5, 3)][number % 4]
        draw = generator(number)
        keep = torch.rand(batch, length, generator=draw) > 0.4
        keep[:, 0] = True
        return torch.randn(batch, length, 16, generator=draw), keep

    length = Dim("length", min=1, max=20)
    return {
        "model": _Attention().eval(), "args": example(0), "fresh": example,
        "dynamic_shapes": {"x": {0: ROWS, 1: length}, "keep": {0: ROWS, 1: length}},
    }  # fmt: skip


@entry
def attention_fast_path() -> dict[str, Any]:
    """nn.TransformerEncoder as it comes, with nested tensors and the fused layer in eval mode."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2)
    return {
        "model": model.eval(), "args": (torch.randn(2, 7, 16),),
        "dynamic_shapes": {"src": {0: ROWS, 1: Dim("length", min=2, max=20)}},
    }  # fmt: skip


class _ScatterMean(nn.Module):
    def forward(self, x, index):
        zeros = torch.zeros(5, x.shape[1])
        return (
            zeros.scatter_reduce(0, index, x, "mean", include_self=False),
            zeros.scatter_reduce(0, index, x, "amax", include_self=True),
            zeros.scatter_add(0, index, x),
        )


@entry
def scatter_mean() -> dict[str, Any]:
    return {
        "model": _ScatterMean().eval(), "args": (torch.randn(7, 3), torch.randint(0, 5, (7, 3))),
        "dynamic_shapes": {"x": {0: ROWS}, "index": {0: ROWS}},
    }  # fmt: skip


class _Sorts(_Op):
    def forward(self, x):
        rounded = (x * 2).round()
        values, order = torch.sort(rounded, dim=1, stable=True)
        return values, order, torch.argsort(rounded, dim=1, descending=True, stable=True)


@entry
def sort_stable() -> dict[str, Any]:
    return _rows(_Sorts())


class _Cumulative(_Op):
    def forward(self, x):
        y = self.layer(x)
        high, where = torch.cummax(y, dim=1)
        return high, where, torch.cumprod(y.sigmoid(), dim=1), torch.logcumsumexp(y, dim=1)


@entry
def cumulative_max() -> dict[str, Any]:
    return _rows(_Cumulative())


class _Median(_Op):
    def forward(self, x):
        y = self.layer(x)
        middle, where = y.median(dim=1)
        return middle, where, y.kthvalue(3, dim=1).values, torch.quantile(y, 0.25, dim=1)


@entry
def median() -> dict[str, Any]:
    return _rows(_Median())


class _Shifts(nn.Module):
    """Hashing of tokens, in 64 bits."""

    def forward(self, n):
        mixed = (n << 13) ^ (n >> 7) ^ 0x5DEECE66D
        return mixed & 0xFFFF, mixed, torch.bitwise_not(n), torch.remainder(mixed, 97)


@entry
def bit_shifts() -> dict[str, Any]:
    return {"model": _Shifts().eval(), "args": (torch.randint(0, 100000, (3, 4)),), "dynamic_shapes": {"n": {0: ROWS}}}


class _NotANumber(nn.Module):
    def forward(self, x):
        logs = torch.log(x)
        clean = torch.where(torch.isnan(logs), torch.zeros_like(logs), logs)
        return clean, logs, torch.nan_to_num(x / (x.round() * 0), nan=-1.0, posinf=9.0, neginf=-9.0), x.sqrt().nansum(1)


@entry
def nan_where() -> dict[str, Any]:
    return _rows(_NotANumber())


class _Ties(nn.Module):
    def forward(self, x):
        rounded = x.round()
        return rounded.argmax(1), rounded.max(1).values, rounded.topk(3, dim=1).values, rounded.argmin(1)


@entry
def ties() -> dict[str, Any]:
    return _rows(_Ties())


class _Masks(nn.Module):
    def forward(self, x, mask):
        kept = x.masked_fill(~mask, float("-inf"))
        return (
            kept.softmax(-1).nan_to_num(), mask & (x > 0), mask.sum(1), mask.any(1), torch.logical_xor(mask, x > 0),
            torch.where(mask, x, -x),
        )  # fmt: skip


@entry
def bool_masks() -> dict[str, Any]:
    return {
        "model": _Masks().eval(), "args": (torch.randn(3, 6), torch.rand(3, 6) > 0.5),
        "dynamic_shapes": {"x": {0: ROWS}, "mask": {0: ROWS}},
    }  # fmt: skip


class _Large(nn.Module):
    """Identifiers near 2**40: what int32 can't hold."""

    def forward(self, ids):
        return ids + 1, ids // 3, ids % 1000, (ids - 2**40).clamp(min=-5), ids.float()


@entry
def large_integers() -> dict[str, Any]:
    return {
        "model": _Large().eval(), "args": (torch.randint(2**40 - 1000, 2**40 + 1000, (5,)),),
        "dynamic_shapes": {"ids": {0: ROWS}},
    }  # fmt: skip


class _Windows(nn.Module):
    def forward(self, x):
        patches = x.unfold(1, 4, 2)
        columns = F.unfold(x[:, None, None, :], (1, 3))
        return patches.mean(-1), F.fold(columns, (1, x.shape[1]), (1, 3)).squeeze(), torch.roll(x, 2, 1)


@entry
def unfold_fold() -> dict[str, Any]:
    source = _rows(_Windows())
    return source | {"dynamic_shapes": {"x": {0: Dim("rows", min=2, max=24)}}}


class _Distances(_Op):
    def forward(self, x):
        d = torch.cdist(self.layer(x), x)
        return d, torch.einsum("ij,kj->ik", x, x), torch.triu(d, 1), d.diagonal()


@entry
def distances() -> dict[str, Any]:
    return _rows(_Distances())


class _Buckets(_Op):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("edges", torch.linspace(-1, 1, 6))
        self.table = nn.Embedding(7, 3)

    def forward(self, x):
        return (
            self.table(torch.bucketize(x, self.edges)),
            torch.searchsorted(self.edges, x),
            F.one_hot((x > 0).long(), 2),
        )


@entry
def buckets() -> dict[str, Any]:
    return _rows(_Buckets())


class _Linalg(_Op):
    """A small solver: Cholesky, inverse, determinant."""

    def forward(self, x):
        square = x.transpose(0, 1) @ x / x.shape[0] + torch.eye(8)
        factor = torch.linalg.cholesky(square)
        return factor, torch.linalg.solve(square, x[0]), torch.logdet(square)


@entry
def linear_algebra() -> dict[str, Any]:
    return _rows(_Linalg())


class _Pixels(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 3, padding=1, padding_mode="reflect")

    def forward(self, x):
        big = F.pixel_shuffle(self.conv(x), 2)
        return big, F.interpolate(big, scale_factor=0.5, mode="bicubic", align_corners=False, antialias=False)


@entry
def super_resolution() -> dict[str, Any]:
    size = {2: Dim("height", min=4, max=40), 3: Dim("width", min=4, max=40)}
    return {
        "model": _Pixels().eval(), "args": (torch.randn(2, 3, 9, 12),), "dynamic_shapes": {"x": {0: ROWS, **size}}
    }  # fmt: skip
