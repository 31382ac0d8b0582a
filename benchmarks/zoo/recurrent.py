"""Recurrent nets: lengths that differ, states in and out, packed sequences, cells in a loop."""

from __future__ import annotations

from typing import Any

import torch
from entry import entry, generator
from torch import Tensor, nn
from torch.export import Dim
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

BATCH, LENGTH = Dim("batch", min=1, max=8), Dim("length", min=1, max=40)


class _Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(60, 12)
        self.lstm = nn.LSTM(12, 10, num_layers=2, bidirectional=True, batch_first=True)
        self.tags = nn.Linear(20, 5)

    def forward(self, sentence: Tensor) -> Tensor:
        out, _ = self.lstm(self.embedding(sentence))
        return self.tags(out)


@entry
def lstm_tagger() -> dict[str, Any]:
    return {
        "model": _Tagger().eval(), "args": (torch.randint(0, 60, (2, 7)),),
        "dynamic_shapes": {"sentence": {0: BATCH, 1: LENGTH}},
    }  # fmt: skip


class _Forecast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 9, num_layers=2, batch_first=True)
        self.fc = nn.Linear(9, 2)

    def forward(self, x: Tensor) -> Tensor:
        h0 = torch.zeros(2, x.size(0), 9).to(x.device)
        out, _ = self.gru(x, h0)
        return self.fc(out[:, -1, :])


@entry
def gru_forecast() -> dict[str, Any]:
    return {
        "model": _Forecast().eval(), "args": (torch.randn(2, 11, 3),), "dynamic_shapes": {"x": {0: BATCH, 1: LENGTH}}
    }  # fmt: skip


class _Stream(nn.Module):
    """A streaming net: the hidden state goes in and comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 6, batch_first=True)
        self.fc = nn.Linear(6, 4)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        out, state = self.lstm(x, state)
        return self.fc(out), state


@entry
def lstm_streaming() -> dict[str, Any]:
    return {
        "model": _Stream().eval(), "args": (torch.randn(2, 5, 4), (torch.randn(1, 2, 6), torch.randn(1, 2, 6))),
        "dynamic_shapes": {"x": {0: BATCH, 1: LENGTH}, "state": ({1: BATCH}, {1: BATCH})},
    }  # fmt: skip


class _Packed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(4, 6, batch_first=True)
        self.fc = nn.Linear(6, 2)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        out, _ = self.rnn(packed)
        padded, _ = pad_packed_sequence(out, batch_first=True, total_length=x.shape[1])
        return self.fc(padded)


def _lengths(number: int) -> tuple[Tensor, Tensor]:
    draw = generator(number)
    batch, length = [(3, 9), (1, 1), (8, 40), (2, 6)][number % 4]
    return torch.randn(batch, length, 4, generator=draw), torch.randint(1, length + 1, (batch,), generator=draw)


@entry
def gru_packed() -> dict[str, Any]:
    return {
        "model": _Packed().eval(), "args": _lengths(0), "fresh": _lengths,
        "dynamic_shapes": {"x": {0: BATCH, 1: LENGTH}, "lengths": {0: BATCH}},
    }  # fmt: skip


class _Cells(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(4, 6)
        self.fc = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(x.size(0), 6)
        c = torch.zeros(x.size(0), 6)
        outs = []
        for t in range(x.size(1)):
            h, c = self.cell(x[:, t], (h, c))
            outs.append(self.fc(h))
        return torch.stack(outs, dim=1)


@entry
def lstm_cell_loop() -> dict[str, Any]:
    return {
        "model": _Cells().eval(), "args": (torch.randn(2, 5, 4),), "dynamic_shapes": {"x": {0: BATCH, 1: LENGTH}}
    }  # fmt: skip


class _Greedy(nn.Module):
    """A translator's greedy decoding: until the end token, or twelve steps."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.encoder = nn.GRU(8, 8, batch_first=True)
        self.cell = nn.GRUCell(8, 8)
        self.out = nn.Linear(8, 20)

    def forward(self, source: Tensor) -> Tensor:
        _, state = self.encoder(self.embedding(source))
        hidden = state[0]
        token = torch.ones(source.size(0), dtype=torch.long)
        said = []
        for _ in range(12):
            hidden = self.cell(self.embedding(token), hidden)
            token = self.out(hidden).argmax(dim=1)
            said.append(token)
            if bool((token == 0).all()):
                break
        return torch.stack(said, dim=1)


@entry
def greedy_translator() -> dict[str, Any]:
    return {
        "model": _Greedy().eval(), "args": (torch.randint(1, 20, (1, 6)),),
        "dynamic_shapes": {"source": {1: Dim("length", min=1, max=20)}},
    }  # fmt: skip


class _Time(nn.Module):
    """Not batch first, as the classic tutorials have it; the last state of a plain RNN."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(5, 8, nonlinearity="relu")
        self.h2o = nn.Linear(8, 4)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, line_tensor):
        rnn_out, hidden = self.rnn(line_tensor)
        output = self.h2o(hidden[0])
        return self.softmax(output)


@entry
def rnn_names() -> dict[str, Any]:
    return {
        "model": _Time().eval(), "args": (torch.randn(6, 2, 5),),
        "dynamic_shapes": {"line_tensor": {0: LENGTH, 1: BATCH}},
    }  # fmt: skip
