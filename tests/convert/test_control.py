"""Python's control flow on values and open sizes, as the graph's own: cond, scan and while_loop."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import textwrap

import pytest
import torch
from torch import nn
from torch.export import Dim
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from convert.exporting import agrees, exported
from torchship.convert.control import graph_control
from torchship.convert.control.rewriting import rewrite

BATCH, LENGTH = Dim("batch", min=1, max=8), Dim("length", min=1, max=20)
SIZES = ((2, 5), (1, 1), (8, 20), (3, 2))


class Cells(nn.Module):
    """States, a list that is filled, a tensor that is written into, a total that begins as a number."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(4, 6)

    def forward(self, x):
        batch, length, _ = x.size()
        h = c = torch.zeros(batch, 6)
        total, places, said = 0, torch.empty(batch, length), []
        for t in range(length):
            h, c = self.cell(x[:, t], (h, c))
            total = total + (h * 2 if t % 2 == 0 else h)
            places[:, t] = t
            said.append(h)
        return torch.stack(said, dim=1), torch.cat(said[::-1], dim=1), total, places, said[-1]


class Smoothed(nn.Module):
    """No turn at all for a length of 1."""

    def forward(self, x):
        y = x[:, 0]
        said = [y]
        for t in range(1, x.shape[1]):
            y = 0.9 * y + 0.1 * x[:, t]
            said.append(y)
        return torch.stack(said, dim=1)


class Total(nn.Module):
    """Fills no list."""

    def forward(self, x):
        total = torch.zeros(x.shape[0], 4)
        for step in x.unbind(1):
            total = torch.tanh(total + step)
        return total


class Rows(nn.Module):
    def forward(self, x):
        said = []
        for i, row in enumerate(x):
            if (row.sum() > 0 and i > 0) or not row.any():
                row = -row  # noqa: PLW2901
            said.append(row.mean(0))
        return torch.stack(said)


class Values(nn.Module):
    """Ways out of several kinds, tests that refuse, a loop until it is enough."""

    def forward(self, x):
        assert torch.isfinite(x).all(), "finite"
        if x.abs().max() > 1e6:
            raise ValueError("too large")
        y = x.abs().sum(-1) + 1
        while (y * y - 2).abs().max() > 1e-4:
            y = 0.5 * (y + 2 / y)
        if x.shape[1] > 4:
            return y, x.mean(1)
        if x.sum() < 0:
            return y * 2, x.amax(1)
        return y, (x if bool(x.max() > 1) else -x).sum(1)


class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(4, 3)
        self.experts = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        weights, chosen = self.gate(x).softmax(-1).topk(2, dim=-1)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            rows, steps, place = torch.where(chosen == number)
            if rows.numel() == 0:
                continue
            out[rows, steps] += weights[rows, steps, place, None] * expert(x[rows, steps])
        return out


@pytest.mark.parametrize(
    "model",
    [
        Cells,
        pytest.param(Smoothed, marks=pytest.mark.slow),
        Total,
        Rows,
        pytest.param(Values, marks=pytest.mark.slow),
        pytest.param(Experts, marks=pytest.mark.slow),
    ],
)
def test_control_flow_holds_for_every_size(model, tmp_path):
    opened, program = exported(model(), (torch.randn(2, 5, 4),), {"x": {0: BATCH, 1: LENGTH}}, tmp_path)
    for sizes in SIZES:
        for shift in (-3, 0, 3):
            agrees(opened, program, torch.randn(*sizes, 4) + shift)


class Packed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 6, num_layers=2, bidirectional=True, batch_first=True)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        out, (h, _) = self.lstm(packed)
        padded, _ = pad_packed_sequence(out, batch_first=True, total_length=x.shape[1])
        return *pad_packed_sequence(out, batch_first=True, padding_value=-1.0), padded, h


def test_a_packed_sequence_keeps_its_lengths_open(tmp_path):
    axes = {"x": {0: BATCH, 1: LENGTH}, "lengths": {0: BATCH}}
    opened, program = exported(Packed(), (torch.randn(3, 7, 4), torch.tensor([5, 7, 2])), axes, tmp_path)
    for batch, length in SIZES:
        agrees(opened, program, torch.randn(batch, length, 4), torch.randint(1, length + 1, (batch,)))


def test_a_model_keeps_its_code_when_its_file_is_read_anew(tmp_path, monkeypatch):
    text = "import torch\nfrom torch import nn\n\n\n" + inspect.getsource(Cells)
    (tmp_path / "twice_read.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    first = importlib.import_module("twice_read").Cells()
    del sys.modules["twice_read"]
    importlib.import_module("twice_read")
    opened, program = exported(first, (torch.randn(2, 5, 4),), {"x": {0: BATCH, 1: LENGTH}}, tmp_path)
    agrees(opened, program, torch.randn(3, 7, 4))


def test_functions_are_their_own_again():
    before, here = Cells.forward.__code__, sys.modules[__name__]
    with graph_control(Cells()):
        assert Cells.forward.__code__ is not before
        given = torch.randn(2, 3, 4)
        torch.manual_seed(1)
        model = Cells()
        inside = model(given)
    assert Cells.forward.__code__ is before
    assert not hasattr(here, "_torchship_flow")
    torch.testing.assert_close(inside, model(given))


def _left(self, x):
    for row in x:
        if row.sum() > 0:
            break
    try:
        self.seen = x
    except ValueError:
        return None
    if x.shape[0] > 1:
        self.seen = x * 2
    return x


def test_what_has_no_form_in_a_graph_is_left_as_it_is():
    (function,) = ast.parse(textwrap.dedent(inspect.getsource(_left))).body
    text = ast.unparse(ast.fix_missing_locations(rewrite(function)))
    assert "_torchship_flow" not in text


class Masked(nn.Conv1d):
    def __init__(self) -> None:
        super().__init__(2, 3, 3, padding=1)
        self.register_buffer("mask", torch.tensor([1.0, 1.0, 0.0]))

    def forward(self, x):
        self.weight.data *= self.mask
        return super().forward(x)


def test_what_each_call_writes_into_data_is_written_before(tmp_path):
    opened, program = exported(Masked(), (torch.randn(2, 2, 5),), {"x": {0: BATCH}}, tmp_path)
    agrees(opened, program, torch.randn(3, 2, 5))
    weight = next(value for name, value in program.state_dict.items() if name.endswith("weight"))
    assert not weight[..., 2].any()
