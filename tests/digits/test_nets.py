from __future__ import annotations

import io

import pytest
import torch
from torch import nn

from torchship.digits import data
from torchship.digits.nets import NETS, Preprocess

ARCHS = pytest.mark.parametrize("arch", ["cnn", "linear"])
IMAGES = torch.tensor(data.split().held_out.batch()[:40])


class Whole(nn.Module):
    """Preprocessing and net as they ship: one graph."""

    def __init__(self, arch: str) -> None:
        super().__init__()
        self.preprocess = Preprocess()
        self.net = NETS[arch]()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.net(self.preprocess(image))


def whole(arch: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Whole(arch).eval()


def test_the_parameters_are_those_of_the_architectures():
    assert {key: list(value.shape) for key, value in NETS["linear"]().state_dict().items()} == {
        "linear.weight": [10, 784],
        "linear.bias": [10],
    }
    assert {key: list(value.shape) for key, value in NETS["cnn"]().state_dict().items()} == {
        "conv1.weight": [32, 1, 3, 3],
        "conv1.bias": [32],
        "conv2.weight": [64, 32, 3, 3],
        "conv2.bias": [64],
        "linear.weight": [10, 3136],
        "linear.bias": [10],
    }


def test_the_cnn_computes_what_its_layers_say():
    net = whole("cnn").net
    reference = nn.Sequential(
        net.conv1, nn.ReLU(), nn.MaxPool2d(2), net.conv2, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), net.linear
    )
    images = Preprocess()(IMAGES)
    assert torch.equal(net(images), reference(images))


def test_preprocess_scales_and_normalises():
    image = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 1, 1, 3)
    expected = (torch.tensor([0.0, 0.2, 1.0]) - 0.1307) / 0.3081
    torch.testing.assert_close(Preprocess()(image).flatten(), expected, atol=1e-6, rtol=0)
    assert Preprocess()(image).dtype == torch.float32


@ARCHS
def test_in_float64_the_whole_graph_computes_in_float64(arch):
    net = whole(arch)
    single = net(IMAGES)
    double = net.double()(IMAGES)
    assert double.dtype == torch.float64
    assert 0 < (double - single).abs().max() < 1e-5


@ARCHS
def test_exports_with_a_dynamic_batch(arch):
    net = whole(arch)
    program = torch.export.export(
        net, (IMAGES[:2],), dynamic_shapes={"image": {0: torch.export.Dim("batch", min=1, max=1024)}}, strict=True
    )
    assert program.graph_signature.user_inputs == ("image",)
    for batch in (1, 2, 7, 40):
        assert torch.equal(program.module()(IMAGES[:batch]), net(IMAGES[:batch]))


@ARCHS
@pytest.mark.parametrize("route", ["script", "trace"])
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_scripts_and_traces_with_a_dynamic_batch(arch, route):
    net = whole(arch)
    made = torch.jit.script(net) if route == "script" else torch.jit.trace(net, (IMAGES[:2],))
    file = io.BytesIO()
    torch.jit.save(made, file)
    file.seek(0)
    again = torch.jit.load(file)
    for batch in (1, 2, 7, 40):
        torch.testing.assert_close(again(IMAGES[:batch]), net(IMAGES[:batch]), atol=1e-5, rtol=1e-5)
