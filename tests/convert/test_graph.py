"""The map from a graph's outputs to the operators and lines that give them."""

from __future__ import annotations

import warnings

import torch
from torch import nn

from convert import breakers
from torchship.convert.diagnosis import Graph

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
