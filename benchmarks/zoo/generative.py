"""Generators: the noise is an input."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from entry import entry
from torch import nn
from torch.export import Dim

BATCH = Dim("batch", min=1, max=10)


@entry
def dcgan() -> dict[str, Any]:
    model = nn.Sequential(
        nn.ConvTranspose2d(16, 24, 4, 1, 0, bias=False), nn.BatchNorm2d(24), nn.ReLU(True),
        nn.ConvTranspose2d(24, 12, 4, 2, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU(True),
        nn.ConvTranspose2d(12, 3, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
    return {"model": model.eval(), "args": (torch.randn(2, 16, 1, 1),), "dynamic_shapes": {"input": {0: BATCH}}}


class _Vae(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(20, 16), nn.ReLU())
        self.mu, self.logvar = nn.Linear(16, 4), nn.Linear(16, 4)
        self.decoder = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 20), nn.Sigmoid())

    def forward(self, x, noise):
        h = self.encoder(x)
        mu, logvar = self.mu(h), self.logvar(h)
        return self.decoder(mu + noise * torch.exp(0.5 * logvar)), mu, logvar


@entry
def vae() -> dict[str, Any]:
    return {
        "model": _Vae().eval(), "args": (torch.randn(3, 20), torch.randn(3, 4)),
        "dynamic_shapes": {"x": {0: BATCH}, "noise": {0: BATCH}},
    }  # fmt: skip


class _Diffusion(nn.Module):
    """A denoiser that is told the time by sines."""

    def __init__(self) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(16, 32), nn.SiLU(), nn.Linear(32, 16))
        self.first = nn.Conv2d(3, 16, 3, padding=1)
        self.norm = nn.GroupNorm(4, 16)
        self.down = nn.Conv2d(16, 16, 3, 2, 1)
        self.out = nn.Conv2d(32, 3, 3, padding=1)

    def forward(self, x, timesteps):
        half = torch.exp(-math.log(10000) * torch.arange(8, dtype=torch.float32) / 8)
        angles = timesteps[:, None].float() * half[None]
        told = self.time(torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1))
        first = F.silu(self.norm(self.first(x) + told[:, :, None, None]))
        low = F.interpolate(self.down(first), scale_factor=2, mode="nearest")
        return self.out(torch.cat([first, low], dim=1))


@entry
def denoiser() -> dict[str, Any]:
    return {
        "model": _Diffusion().eval(), "args": (torch.randn(2, 3, 16, 16), torch.randint(0, 1000, (2,))),
        "dynamic_shapes": {"x": {0: BATCH}, "timesteps": {0: BATCH}},
    }  # fmt: skip


class _Flow(nn.Module):
    """RealNVP: coupling layers with alternating masks; the log-determinant comes too."""

    def __init__(self) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 12)) for _ in range(4))
        self.register_buffer("mask", torch.tensor([1.0, 0, 1, 0, 1, 0]))

    def forward(self, x):
        log_det = x.new_zeros(x.shape[0])
        for i, net in enumerate(self.nets):
            mask = self.mask if i % 2 == 0 else 1 - self.mask
            s, t = net(x * mask).chunk(2, dim=1)
            s = torch.tanh(s) * (1 - mask)
            x = x * mask + (1 - mask) * (x * s.exp() + t)
            log_det += s.sum(1)
        return x, log_det


@entry
def flow() -> dict[str, Any]:
    return {"model": _Flow().eval(), "args": (torch.randn(3, 6),), "dynamic_shapes": {"x": {0: BATCH}}}


class _MaskedConv(nn.Conv2d):
    """PixelCNN's: the weight's data is masked in every forward."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.register_buffer("mask", torch.ones_like(self.weight))
        self.mask[:, :, 1, 1:] = 0
        self.mask[:, :, 2:] = 0

    def forward(self, x):
        self.weight.data *= self.mask
        return super().forward(x)


@entry
def pixel_cnn() -> dict[str, Any]:
    model = nn.Sequential(_MaskedConv(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 1))
    return {"model": model.eval(), "args": (torch.rand(2, 1, 8, 8),), "dynamic_shapes": {"input": {0: BATCH}}}


class _Codebook(nn.Module):
    """VQ-VAE: the nearest code of each place, straight-through."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(1, 6, 4, 2, 1)
        self.codes = nn.Embedding(16, 6)
        self.decoder = nn.ConvTranspose2d(6, 1, 4, 2, 1)

    def forward(self, x):
        z = self.encoder(x).permute(0, 2, 3, 1)
        flat = z.reshape(-1, 6)
        distance = flat.pow(2).sum(1, keepdim=True) - 2 * flat @ self.codes.weight.t() + self.codes.weight.pow(2).sum(1)
        index = distance.argmin(1)
        q = self.codes(index).view(z.shape)
        q = z + (q - z).detach()
        return self.decoder(q.permute(0, 3, 1, 2)), index.view(z.shape[:3])


@entry
def vq_vae() -> dict[str, Any]:
    return {"model": _Codebook().eval(), "args": (torch.rand(2, 1, 16, 16),), "dynamic_shapes": {"x": {0: BATCH}}}


class _Style(nn.Module):
    """StyleGAN's modulated convolution: a convolution of its own for each sample, by groups."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, 8, 6, 3, 3))
        self.style = nn.Linear(5, 6)

    def forward(self, x, w):
        batch, channels, height, width = x.shape
        weight = self.weight * self.style(w).view(batch, 1, channels, 1, 1)
        weight = weight * torch.rsqrt(weight.pow(2).sum([2, 3, 4], keepdim=True) + 1e-8)
        out = F.conv2d(x.reshape(1, -1, height, width), weight.view(-1, channels, 3, 3), padding=1, groups=batch)
        return out.view(batch, 8, height, width)


@entry
def style_convolution() -> dict[str, Any]:
    return {
        "model": _Style().eval(), "args": (torch.randn(2, 6, 9, 9), torch.randn(2, 5)),
        "dynamic_shapes": {"x": {0: BATCH}, "w": {0: BATCH}},
    }  # fmt: skip
