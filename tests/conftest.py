"""What several rooms' tests share: one trained checkpoint and one shipped bundle for the whole run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from torchship.cli.main import main


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of the run's own: what one test converted, another needn't; nothing comes from the user's."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHSHIP_CACHE", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def gradients_stay_on() -> Iterator[None]:
    """Whatever runs in this process leaves torch as it was: a converter that doesn't would break the next training."""
    yield
    if (torch := sys.modules.get("torch")) is not None:
        assert torch.is_grad_enabled()


@pytest.fixture(scope="session")
def digits_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A digits CNN, trained for one epoch: right enough to be judged, quick enough for every run."""
    path = tmp_path_factory.mktemp("checkpoint") / "digits.pth"
    assert main(["train", "digits", "-o", str(path), "--epochs", "1", "--json"]) == 0
    return path


@pytest.fixture(scope="session")
def digits_bundle(digits_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That CNN, shipped to onnx, torchscript and exported."""
    path = tmp_path_factory.mktemp("bundle") / "digits"
    targets = "onnx torchscript exported"
    assert main(["ship", str(digits_checkpoint), "-o", str(path), "--targets", targets, "--json"]) == 0
    return path
