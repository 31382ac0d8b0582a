"""To TorchScript: scripted or traced, frozen where that is right, and without the user's source."""

from __future__ import annotations

import zipfile
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from targets.specimens import Specimens, WrongError, hashes_in_a_process
from torchship.bundle.artifact import Variant
from torchship.signature import Constant, Dim, Signature, TensorSpec
from torchship.targets.builder import Captured, Form, Route
from torchship.targets.torchscript import build

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

_SCRIPTED = [
    "cnn",
    "lstm",
    "encoder",
    "embedding",
    "two_by_two",
    "dict_output",
    "branch",
    "loop",
    "shape_branch",
    "scatter_mean",
    "batch_statistics",
    "half",
    "brain",
    "double",
    "unused_input",
    "big_integers",
    "passing",
]
_BAKED = ("branch", "loop", "shape_branch")


@pytest.mark.parametrize("name", _SCRIPTED)
def test_a_script_is_right_on_fresh_values_and_sizes(specimens: Specimens, name: str) -> None:
    specimen = specimens(name)
    assert specimen.prove(specimen.make("torchscript", "script")).right


@pytest.mark.parametrize("name", [name for name in _SCRIPTED if name not in _BAKED])
def test_a_trace_is_right_where_there_is_nothing_to_bake_in(specimens: Specimens, name: str) -> None:
    specimen = specimens(name)
    assert specimen.prove(specimen.make("torchscript", "trace")).right


@pytest.mark.parametrize("name", _BAKED)
def test_a_trace_that_bakes_something_in_is_seen_to_be_wrong(specimens: Specimens, name: str) -> None:
    specimen = specimens(name)
    with pytest.raises((WrongError, RuntimeError)):
        specimen.prove(specimen.make("torchscript", "trace"))


def test_the_archive_holds_neither_source_nor_paths(specimens: Specimens) -> None:
    path = specimens("branch").make("torchscript", "script").main
    with zipfile.ZipFile(path) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".debug_pkl")]
        held = b"".join(archive.read(name) for name in archive.namelist())
    for word in (b"models.py", b"site-packages", str(path.parent).encode()):
        assert word not in held


@pytest.mark.slow
def test_the_same_model_gives_the_same_bytes(specimens: Specimens) -> None:
    """In two processes, as the pipeline makes them: TorchScript counts its classes through a process's life."""
    made = [hashes_in_a_process(specimens("two_by_two"), "torchscript", "script") for _ in range(2)]
    assert made[0] == made[1]


def test_bfloat16_inputs_are_cast_by_the_host(specimens: Specimens) -> None:
    assert specimens("brain").make("torchscript", "script").artifact.adapter.casts == {"x": "bfloat16"}


class Mixed(nn.Module):
    """In eval mode, but for a norm that the user left in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3, track_running_stats=False)
        self.head = nn.Linear(3, 2)
        self.eval()
        self.norm.train()

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (self.head(self.norm(x)),)


def test_a_submodule_in_training_mode_stays_in_it(tmp_path) -> None:
    model = Mixed()
    opened = _opened(model, tmp_path)
    x = torch.randn(5, 3) * 4
    assert torch.allclose(opened(x)[0], model(x)[0], atol=1e-6)
    assert model.norm.training


def test_what_cannot_be_frozen_is_written_as_it_is(tmp_path) -> None:
    """Torch freezes no module in training mode."""
    model = Mixed().train()
    artifact = _artifact(model, tmp_path)
    assert artifact.settings.options == {build.OPTIMIZE: False}
    assert build.BUILDER.plainer(artifact) is None
    x = torch.randn(5, 3)
    assert torch.equal(torch.jit.load(tmp_path / "model.pt")(x)[0], model(x)[0])


def test_it_is_opened_unoptimised_where_optimised_was_wrong(specimens: Specimens) -> None:
    artifact = specimens("cnn").make("torchscript", "script").artifact
    assert artifact.settings.options == {build.OPTIMIZE: True}
    plainer = build.BUILDER.plainer(artifact)
    assert plainer is not None
    assert plainer.settings.options == {build.OPTIMIZE: False}


def _artifact(model: nn.Module, folder) -> Any:
    signature = Signature(
        (TensorSpec("x", "float32", ("n", 3)),),
        (TensorSpec("y", "float32", ("n", 2)),),
        (Dim("n"),),
        (),
        Constant(None),
    )
    captured = Captured(Form.SCRIPTED, torch.jit.script(model), (torch.randn(4, 3),), signature)
    return build.BUILDER.convert(captured, Route("script", Form.SCRIPTED), Variant(), folder)


def _opened(model: nn.Module, folder) -> Any:
    _artifact(model, folder)
    return torch.jit.load(folder / "model.pt")
