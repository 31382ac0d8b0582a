"""Each method takes what it says, leaves the model's outputs their shapes, and training mends what was lost."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from torchship.convert.finetune import finetune
from torchship.convert.pruning import method_of, methods, weights_of
from torchship.errors import ConversionError
from torchship.models.described import described
from torchship.models.evaluation import evaluation_data
from torchship.models.open import prepare


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.second, self.third = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 32, 3)
        self.head, self.side = nn.Linear(32, 10), nn.Linear(32, 6)

    def forward(self, x):
        kept = torch.relu(self.norm(self.first(x)))
        kept = torch.relu(self.third(kept + self.second(kept))).mean((2, 3))
        return {"scores": self.head(kept), "side": torch.tanh(self.side(kept))}


X = torch.randn(2, 1, 9, 9)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().eval()


def test_whole_channels_go_and_outputs_keep_their_shapes(net):
    before = sum(weight.numel() for _, weight in weights_of(net))
    told = method_of("structured")(net, lambda: net(X), 0.5)
    after = sum(weight.numel() for _, weight in weights_of(net))
    assert (net.first.out_channels, net.second.out_channels, net.third.out_channels) == (8, 8, 16)
    assert net.norm.num_features == 8
    assert told == f"{before - after:,} of {before:,} weights went, with whole channels"
    assert {name: tuple(value.shape) for name, value in net(X).items()} == {"scores": (2, 10), "side": (2, 6)}
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("share", [0.25, 0.9])
def test_the_smallest_weights_of_all_layers_become_zero(net, share):
    whole = {name: weight.clone() for name, weight in weights_of(net)}
    method_of("unstructured")(net, lambda: net(X), share)
    gone = torch.cat([whole[name][weight == 0].abs() for name, weight in weights_of(net)])
    stayed = torch.cat([whole[name][weight != 0].abs() for name, weight in weights_of(net)])
    assert len(gone) == pytest.approx(share * (len(gone) + len(stayed)), rel=1e-3)
    assert gone.max() <= stayed.min()
    for name, weight in weights_of(net):
        assert torch.equal(weight[weight != 0], whole[name][weight != 0])


def test_of_every_four_weights_two_stay(net):
    told = method_of("pattern")(net, lambda: net(X), 0.5)
    assert told == "2 of every 4 weights stay in 4 layers"  # the first has 9 inputs
    for name, weight in weights_of(net):
        if name != "first.weight":
            assert ((weight.reshape(-1, 4) != 0).sum(1) == 2).all()


@pytest.mark.parametrize("method", methods())
def test_a_model_without_layers_has_nothing_to_prune(method):
    with pytest.raises(ConversionError, match="nothing to prune"):
        method_of(method)(nn.ReLU(), lambda: None, 0.5)


def test_one_layer_alone_can_t_lose_channels():
    layer = nn.Linear(8, 3)
    with pytest.raises(ConversionError, match="no channel that could be taken away"):
        method_of("structured")(layer, lambda: layer(torch.randn(2, 8)), 0.5)
    assert layer.out_features == 3


def test_training_mends_what_was_lost_and_leaves_zeros(tmp_path):
    torch.manual_seed(1)
    rows = torch.randn(600, 8)
    labels = (rows[:, :4].sum(1) > rows[:, 4:].sum(1)).long()
    module = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 2))
    optimizer = torch.optim.Adam(module.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(rows), labels).backward()
        optimizer.step()
    source = {"model": module.eval(), "args": (rows[:2],), "dynamic_shapes": {"input": {0: "n"}}}
    whole = prepare(described(source, "here"))
    model = prepare(described(source | {"model": copy.deepcopy(module)}, "here"))

    def right(of):
        return float((of.flat.call((rows,)).argmax(1) == labels).float().mean())

    method_of("unstructured")(model.description.model, lambda: model.flat.call(model.examples), 0.8)
    before, zeros = right(model), [weight == 0 for _, weight in weights_of(model.description.model)]
    data = evaluation_data(model, {"input": rows.numpy(), "labels": labels.numpy()})
    told = finetune(model, whole, data, masked=True)
    assert told == "trained for 220 steps of 64 rows since"
    assert right(model) > before + 0.03
    assert not model.description.model.training
    for zero, (_, weight) in zip(zeros, weights_of(model.description.model), strict=True):
        assert (weight[zero] == 0).all()
