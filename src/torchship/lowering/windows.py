"""Spectrograms, there and back, by way of frames and the plain transforms."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own custom
from torch import Tensor

from torchship.lowering.places import unfold
from torchship.lowering.refusal import UnloweredError

aten = torch.ops.aten


def _stft(  # noqa: PLR0913, PLR0917 - torch's own signature
    x: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None, window: Tensor | None = None,
    normalized: bool = False, onesided: bool | None = None, return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:  # fmt: skip
    if align_to_window:
        raise UnloweredError("stft with align_to_window has no plain arithmetic", "leave align_to_window out")
    hop = hop_length or n_fft // 4
    frames = unfold(x, -1, n_fft, hop)
    if window is not None or win_length not in (None, n_fft):
        frames = frames * _whole_window(window, win_length, n_fft, x)
    norm = "ortho" if normalized else None
    spectrum = torch.fft.rfft(frames, norm=norm) if onesided is not False else torch.fft.fft(frames, norm=norm)
    spectrum = spectrum.transpose(-1, -2)
    return spectrum if return_complex else torch.view_as_real(spectrum)


def _stft_centred(  # noqa: PLR0913, PLR0917 - torch's own signature
    x: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None, window: Tensor | None = None,
    center: bool = True, pad_mode: str = "reflect", normalized: bool = False, onesided: bool | None = None,
    return_complex: bool | None = None, align_to_window: bool | None = None,
) -> Tensor:  # fmt: skip
    if center:
        rows = x.unsqueeze(0) if x.dim() == 1 else x
        rows = F.pad(rows.unsqueeze(1), (n_fft // 2, n_fft // 2), mode=pad_mode).squeeze(1)
        x = rows.squeeze(0) if x.dim() == 1 else rows
    return _stft(x, n_fft, hop_length, win_length, window, normalized, onesided, return_complex, align_to_window)


def _istft(  # noqa: PLR0913, PLR0917 - torch's own signature
    x: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None, window: Tensor | None = None,
    center: bool = True, normalized: bool = False, onesided: bool | None = None, length: Any = None,
    return_complex: bool = False,
) -> Tensor:  # fmt: skip
    if return_complex or onesided is False:
        raise UnloweredError("istft of a two-sided spectrum has no plain arithmetic", "give it the one-sided spectrum")
    hop = hop_length or n_fft // 4
    spectrum = x if x.dim() == 3 else x.unsqueeze(0)
    frames = torch.fft.irfft(spectrum.transpose(-1, -2), n_fft, norm="ortho" if normalized else None)
    shape = _whole_window(window, win_length, n_fft, frames)
    sound, weight = _overlapped(frames * shape, hop), _overlapped((shape * shape).expand_as(frames[:1]), hop)
    start = n_fft // 2 if center else 0
    end = sound.shape[-1] - start if length is None else start + length
    sound, weight = sound[:, start:end], weight[:, start:end]
    answer = sound / torch.where(weight > 0, weight, 1.0)
    if length is not None:
        answer = F.pad(answer, (0, length - answer.shape[-1]))
    return answer if x.dim() == 3 else answer.squeeze(0)


def _overlapped(frames: Tensor, hop: int) -> Tensor:
    """Add up frames, each ``hop`` after the one before it: a transposed convolution with the identity."""
    size = frames.shape[-1]
    weight = torch.eye(size, dtype=frames.dtype).unsqueeze(1)
    return F.conv_transpose1d(frames.transpose(-1, -2), weight, stride=hop).squeeze(1)


def _whole_window(window: Tensor | None, win_length: int | None, n_fft: int, like: Tensor) -> Tensor:
    size = win_length or n_fft
    shape = window if window is not None else torch.ones(size, dtype=like.dtype)
    left = (n_fft - size) // 2
    return F.pad(shape, (left, n_fft - size - left)) if size != n_fft else shape


WINDOWS: dict[Any, Any] = {
    aten.stft.default: _stft,
    aten.stft.center: _stft_centred,
    aten.istft.default: _istft,
}
