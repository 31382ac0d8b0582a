from __future__ import annotations

from pathlib import Path

import pytest

from small_bundle import make_bundle
from torchship import load
from torchship.runtime import ShippedModel


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that no test changes."""
    return make_bundle(tmp_path_factory.mktemp("runtime") / "net")


@pytest.fixture(scope="session")
def model(pristine: Path) -> ShippedModel:
    return load(pristine)
