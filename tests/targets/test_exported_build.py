"""To a torch .pt2: the program alone, without examples, stack traces or paths."""

from __future__ import annotations

import zipfile

import pytest
import torch
from _pytest.mark import ParameterSet

from targets.specimens import Specimen, Specimens

_RIGHT = [
    "cnn",
    "encoder",
    "embedding",
    "two_by_two",
    "dict_output",
    "scatter_mean",
    "batch_statistics",
    "half",
    "brain",
    "double",
    "unused_input",
    "big_integers",
    "passing",
]
_SLOW = {"encoder", "two_by_two", "dict_output", "batch_statistics", "half", "double"}


def _slow(name: str) -> ParameterSet:
    return pytest.param(name, marks=pytest.mark.slow)


@pytest.mark.parametrize("name", [_slow(name) if name in _SLOW else name for name in _RIGHT])
def test_it_is_right_on_fresh_values_and_sizes(specimens: Specimens, name: str) -> None:
    specimen = specimens(name)
    assert specimen.prove(specimen.make("exported", "export")).right


@pytest.mark.slow
def test_the_length_of_an_lstm_stays_open(specimens: Specimens) -> None:
    specimen = specimens("lstm")
    verdict = specimen.prove(specimen.make("exported", "export"))
    assert verdict.right
    assert len({sizes["length"] for sizes in verdict.sizes}) > 3


@pytest.mark.parametrize("name", ["branch", "shape_branch"])
def test_branches_are_the_graphs(specimens: Specimens, name: str) -> None:
    specimen = specimens(name)
    assert specimen.prove(specimen.make("exported", "export")).right


def test_there_are_no_examples_no_stack_traces_and_no_paths(specimens: Specimens) -> None:
    made = specimens("cnn").make("exported", "export")
    with zipfile.ZipFile(made.main) as archive:
        held = b"".join(archive.read(name) for name in archive.namelist())
    for word in (b"models.py", b"stack_trace", b"site-packages", str(made.folder).encode()):
        assert word not in held
    assert torch.export.load(made.main).example_inputs is None


def test_it_tells_which_module_a_node_came_from(specimens: Specimens) -> None:
    program = torch.export.load(specimens("cnn").make("exported", "export").main)
    stacks = [
        node.meta["nn_module_stack"] for node in program.graph.nodes if node.target is torch.ops.aten.linear.default
    ]
    assert any("head" in str(stack) for stack in stacks)


def test_the_same_model_gives_the_same_bytes(specimens: Specimens, tmp_path) -> None:
    specimen = specimens("cnn")
    other = Specimen(specimen.source, specimen.reference, tmp_path)
    assert other.make("exported", "export").main.read_bytes() == specimen.make("exported", "export").main.read_bytes()
