"""The map from a graph's outputs to the operators and lines that give them."""

from __future__ import annotations

import warnings

import torch
from torch import nn

from convert import breakers
from torchship.convert.diagnosis import Graph, diagnose

X = torch.randn(2, 6)


def test_the_operator_that_gives_an_output():
    class Pair(nn.Module):
        def forward(self, x):
            y = x.relu()
            return (
                y.sum(0),
                y,
            )

    first = Pair.forward.__code__.co_firstlineno
    graph = Graph.of(torch.export.export(Pair().eval(), (X,)))
    assert graph.output(0).op == "aten.sum.dim_IntList"
    assert graph.output(1).op == "aten.relu"
    assert [place.line for place in graph.output(0).places][-1] == first + 3
    assert graph.output(2).op is None


def test_the_operator_that_gives_an_output_of_a_script():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        graph = Graph.of(torch.jit.script(breakers.Median().eval()))
    assert graph.output(0).op is not None
    assert graph.output(0).op.startswith("aten.median")


def test_what_onnx_runtime_has_no_kernel_for_is_found_by_its_kind():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)).double().eval()
    graph = Graph.of(torch.export.export(model, (torch.randn(1, 3, 8, 8).double(),)))
    named = graph.find("NOT_IMPLEMENTED : Could not find an implementation for Conv(11) node with name 'node_Conv_13'")
    assert named.op == "aten.conv2d"
    assert "conv.py" in str(named.places[-1])


def test_an_operator_is_found_by_its_overload():
    class Noisy(nn.Module):
        def forward(self, x):
            return x + torch.randn(x.shape[1], generator=torch.Generator().manual_seed(3))

    graph = Graph.of(torch.export.export(Noisy().eval(), (X,)))
    told = diagnose(RuntimeError("data/constants.json names 'opaque_obj_0'"), "opening", graph=graph)
    assert told.op == "aten.randn.generator"
    assert told.what.endswith("`return x + torch.randn(x.shape[1], generator=torch.Generator().manual_seed(3))`")
    assert "test_graph.py:" in str(told.where)
