"""Sound: transformers' speech nets from config, spectra inside the graph, CTC heads."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from entry import entry
from torch import nn
from torch.export import Dim

BATCH = Dim("batch", min=1, max=6)


@entry
def whisper() -> dict[str, Any]:
    from transformers import WhisperConfig, WhisperModel

    config = WhisperConfig(
        vocab_size=99, num_mel_bins=16, d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_source_positions=30,
        max_target_positions=40, use_cache=False, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=1, suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip

    class Transcribe(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, input_features, decoder_input_ids):
            return self.model(
                input_features=input_features, decoder_input_ids=decoder_input_ids, use_cache=False
            ).last_hidden_state

    return {
        "model": Transcribe(WhisperModel(config)).eval(),
        "args": (torch.randn(2, 16, 60), torch.randint(3, 99, (2, 5))),
        "dynamic_shapes": {
            "input_features": {0: BATCH}, "decoder_input_ids": {0: BATCH, 1: Dim("words", min=1, max=30)}
        },
    }  # fmt: skip


@entry
def wav2vec2() -> dict[str, Any]:
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    config = Wav2Vec2Config(
        vocab_size=20, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=48,
        conv_dim=(16, 16), conv_stride=(5, 4), conv_kernel=(10, 8), num_feat_extract_layers=2,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
    )  # fmt: skip
    return {
        "model": Wav2Vec2ForCTC(config).eval(), "args": (torch.randn(2, 800),),
        "dynamic_shapes": {"input_values": {0: BATCH, 1: Dim("samples", min=400, max=2000)}},
    }  # fmt: skip


class _Keyword(nn.Module):
    """A spotter of words: a power spectrum by STFT, a mel-like filterbank, convolutions."""

    def __init__(self):
        super().__init__()
        self.register_buffer("window", torch.hann_window(64))
        self.register_buffer("filters", torch.rand(33, 12))
        self.body = nn.Sequential(nn.Conv1d(12, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten())
        self.head = nn.Linear(16, 5)

    def forward(self, sound):
        spectrum = torch.stft(sound, 64, 16, 64, self.window, return_complex=True).abs() ** 2
        mel = torch.log(spectrum.transpose(1, 2) @ self.filters + 1e-6)
        return self.head(self.body(mel.transpose(1, 2)))


@entry
def keyword_stft() -> dict[str, Any]:
    return {
        "model": _Keyword().eval(), "args": (torch.randn(2, 640),),
        "dynamic_shapes": {"sound": {0: BATCH, 1: Dim("samples", min=200, max=1600)}},
    }  # fmt: skip


class _DeepSpeech(nn.Module):
    """Convolutions over a spectrogram, two-way LSTM, log-probabilities for CTC."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(1, 4, 3, (2, 1), 1), nn.BatchNorm2d(4), nn.Hardtanh(0, 20, inplace=True))
        self.rnn = nn.LSTM(32, 20, num_layers=2, bidirectional=True, batch_first=True, dropout=0.1)
        self.fc = nn.Linear(40, 11)

    def forward(self, spectrogram):
        x = self.conv(spectrogram.unsqueeze(1))
        b, c, f, t = x.shape
        x = x.reshape(b, c * f, t).permute(0, 2, 1)
        x, _ = self.rnn(x)
        return F.log_softmax(self.fc(x), dim=-1)


@entry
def deep_speech() -> dict[str, Any]:
    return {
        "model": _DeepSpeech().eval(), "args": (torch.randn(2, 16, 24),),
        "dynamic_shapes": {"spectrogram": {0: BATCH, 2: Dim("frames", min=4, max=80)}},
    }  # fmt: skip


class _Conformer(nn.Module):
    """One block of a Conformer, with sinusoidal places made for the length at hand."""

    def __init__(self, d=32):
        super().__init__()
        self.d = d
        self.first = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, 64), nn.SiLU(), nn.Linear(64, d))
        self.norm = nn.LayerNorm(d)
        self.attention = nn.MultiheadAttention(d, 4, batch_first=True)
        self.conv_norm = nn.LayerNorm(d)
        self.conv = nn.Sequential(
            nn.Conv1d(d, 2 * d, 1), nn.GLU(dim=1), nn.Conv1d(d, d, 7, padding=3, groups=d), nn.BatchNorm1d(d),
            nn.SiLU(), nn.Conv1d(d, d, 1),
        )  # fmt: skip

    def positions(self, length):
        place = torch.arange(length).unsqueeze(1)
        scale = torch.exp(torch.arange(0, self.d, 2) * (-math.log(10000.0) / self.d))
        table = torch.zeros(length, self.d)
        table[:, 0::2] = torch.sin(place * scale)
        table[:, 1::2] = torch.cos(place * scale)
        return table

    def forward(self, x, lengths):
        mask = torch.arange(x.size(1))[None, :] >= lengths[:, None]
        x = x + self.positions(x.size(1))
        x = x + 0.5 * self.first(x)
        y = self.norm(x)
        x = x + self.attention(y, y, y, key_padding_mask=mask, need_weights=False)[0]
        x = x + self.conv(self.conv_norm(x).transpose(1, 2)).transpose(1, 2)
        return x.masked_fill(mask.unsqueeze(-1), 0.0)


@entry
def conformer() -> dict[str, Any]:
    from entry import generator

    def example(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        batch, frames = [(2, 11), (1, 3), (6, 50), (3, 20)][number % 4]
        draw = generator(number)
        return torch.randn(batch, frames, 32, generator=draw), torch.randint(1, frames + 1, (batch,), generator=draw)

    return {
        "model": _Conformer().eval(), "args": example(0), "fresh": example,
        "dynamic_shapes": {"x": {0: BATCH, 1: Dim("frames", min=2, max=50)}, "lengths": {0: BATCH}},
    }  # fmt: skip


class _Vocoder(nn.Module):
    """HiFi-GAN in small: transposed convolutions with weight_norm, as its repository has it."""

    def __init__(self):
        super().__init__()
        from torch.nn.utils.parametrizations import weight_norm

        self.pre = weight_norm(nn.Conv1d(16, 24, 7, padding=3))
        self.ups = nn.ModuleList(
            weight_norm(nn.ConvTranspose1d(24 // 2**i, 12 // 2**i, 8, 4, padding=2)) for i in range(2)
        )
        self.res = nn.ModuleList(weight_norm(nn.Conv1d(c, c, 3, dilation=3, padding=3)) for c in (12, 6))
        self.post = weight_norm(nn.Conv1d(6, 1, 7, padding=3))

    def forward(self, mel):
        x = self.pre(mel)
        for up, res in zip(self.ups, self.res):
            x = up(F.leaky_relu(x, 0.1))
            x = x + res(F.leaky_relu(x, 0.1))
        return torch.tanh(self.post(F.leaky_relu(x)))


@entry
def vocoder() -> dict[str, Any]:
    return {
        "model": _Vocoder().eval(), "args": (torch.randn(2, 16, 10),),
        "dynamic_shapes": {"mel": {0: BATCH, 2: Dim("frames", min=1, max=60)}},
    }  # fmt: skip
