"""What torch.export fixes, kept open: numbers of sizes, recurrent lengths, sizes of 1; nothing is left behind."""

from __future__ import annotations

import builtins
import importlib
import sys

import pytest
import torch
from torch import nn
from torch.export import Dim

from convert.exporting import agrees, exported
from torchship.convert.recurrent import open_lengths
from torchship.convert.symbolic import symbolic_numbers
from torchship.errors import TorchshipError

BATCH, LENGTH = Dim("batch", min=1, max=16), Dim("length", min=1, max=40)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize(
    "layer",
    [
        lambda **how: nn.LSTM(6, 10, num_layers=2, bidirectional=True, **how),
        lambda **how: nn.LSTM(6, 10, proj_size=4, bias=False, **how),
        lambda **how: nn.GRU(6, 10, num_layers=2, **how),
        lambda **how: nn.GRU(6, 10, bidirectional=True, bias=False, **how),
        lambda **how: nn.RNN(6, 10, nonlinearity="relu", bidirectional=True, **how),
        lambda **how: nn.RNN(6, 10, bias=False, **how),
    ],
    ids=["lstm", "lstm_projected", "gru", "gru_both_ways", "rnn_relu", "rnn"],
)
def test_the_length_of_a_recurrent_layer_stays_open(layer, batch_first, tmp_path):
    axes = {0: BATCH, 1: LENGTH} if batch_first else {0: LENGTH, 1: BATCH}
    opened, program = exported(layer(batch_first=batch_first), (torch.randn(3, 7, 6),), {"input": axes}, tmp_path)
    for sizes in ((1, 1), (3, 7), (5, 16), (2, 13)):
        agrees(opened, program, torch.randn(*sizes, 6))


class Halves(nn.Module):
    def forward(self, x):
        half = int(x.shape[1] / 2)
        size = max(int(x.size(0)), 1)
        return torch.cat([x[:, half:], x[:, :half]], 1).reshape(size, -1) * min(size, x.shape[1])


def test_python_numbers_of_sizes_stay_open(tmp_path):
    columns = Dim("columns", min=2, max=30)
    opened, program = exported(Halves(), (torch.randn(3, 8),), {"x": {0: BATCH, 1: columns}}, tmp_path)
    for sizes in ((1, 2), (4, 9), (16, 30)):
        agrees(opened, program, torch.randn(*sizes))


class Scaled(nn.Module):
    def forward(self, x):
        return x / float(x.abs().max())


def test_a_number_of_a_value_stays_open(tmp_path):
    opened, program = exported(Scaled(), (torch.randn(3, 4),), {"x": {0: BATCH}}, tmp_path)
    agrees(opened, program, torch.randn(5, 4) * 9)


class Strided(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(*(nn.Conv2d(3, 3, 3, 2, 1) for _ in range(4)))

    def forward(self, x):
        return self.body(x)


def test_an_image_may_shrink_to_a_single_column(tmp_path):
    width = Dim("width", min=16, max=64)
    opened, program = exported(Strided(), (torch.randn(2, 3, 32, 48),), {"x": {0: BATCH, 3: width}}, tmp_path)
    for size in (16, 17, 64):
        agrees(opened, program, torch.randn(2, 3, 32, size))


class Split(nn.Module):
    def forward(self, x):
        try:
            return x * 2 if x.shape[0] > 8 else x
        except ValueError:
            return x


def test_what_holds_for_a_part_of_the_sizes_is_still_refused(tmp_path):
    with pytest.raises(TorchshipError, match="holds for a part of the sizes of batch only: up to 8"):
        exported(Split(), (torch.randn(3, 4),), {"x": {0: BATCH}}, tmp_path)


def test_the_names_are_the_modules_own_again_and_mean_what_they_did():
    here = sys.modules[__name__]
    with symbolic_numbers(Halves()):
        assert here.int("7") == 7
        assert here.float("2.5") == 2.5
        assert (here.max(2, 5), here.min([4, 3]), here.max([], default=1)) == (5, 3, 1)
        assert isinstance(3, here.int)
        assert not isinstance(3.0, here.int)
        assert issubclass(bool, here.int)
    assert not any(name in vars(here) for name in ("int", "float", "max", "min"))
    assert builtins.int is int


def test_recurrent_layers_are_torchs_own_again():
    kernels = nn.modules.rnn._VF
    with open_lengths():
        assert nn.modules.rnn._VF is not kernels
    assert nn.modules.rnn._VF is kernels


class FrontEnd(nn.Module):
    """As speech models begin: strided convolutions, then attention over the frames."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 8, 10, stride=5)
        self.attention = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, wave):
        return self.attention(self.conv(wave.unsqueeze(1)).transpose(1, 2))


def test_what_torch_could_only_decide_for_the_example_is_no_check(tmp_path):
    """Deferred, torch asserts that the batch isn't 1."""
    samples = Dim("samples", min=60, max=2000)
    opened, program = exported(FrontEnd(), (torch.randn(2, 400),), {"wave": {0: BATCH, 1: samples}}, tmp_path)
    for sizes in ((1, 60), (1, 400), (2, 61), (16, 1999)):
        agrees(opened, program, torch.randn(*sizes))


POOLING = """
import torch

def pooled(x, index):
    size = int(index.max()) + 1
    return torch.zeros(size, x.shape[1]).index_add(0, index, x)
"""
LAYER = """
from torch import nn
from pooling.scatter import pooled

class Pool(nn.Module):
    def forward(self, x, index):
        return pooled(x, index)
"""


def test_numbers_stay_open_also_in_the_rest_of_a_package(tmp_path, monkeypatch):
    """As in torch_geometric: the layer is in one file, and what makes a number of a value in another."""
    package = tmp_path / "site-packages" / "pooling"
    package.mkdir(parents=True)
    for name, text in (("__init__", ""), ("scatter", POOLING), ("layer", LAYER)):
        (package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(package.parent))
    layer = importlib.import_module("pooling.layer")
    args, shapes = (torch.randn(5, 3), torch.tensor([0, 0, 1, 2, 2])), {"x": {0: LENGTH}, "index": {0: LENGTH}}
    opened, program = exported(layer.Pool(), args, shapes, tmp_path)
    for index in ([0], [0, 0, 0], [3, 1, 1, 0, 2, 5, 5]):
        agrees(opened, program, torch.randn(len(index), 3), torch.tensor(index))
    assert "int" not in vars(sys.modules["pooling.scatter"])
