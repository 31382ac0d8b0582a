from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from small_bundle import make_bundle


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that no test changes."""
    return make_bundle(tmp_path_factory.mktemp("pristine") / "net")


@pytest.fixture
def bundle(pristine: Path, tmp_path: Path) -> Path:
    """A bundle of the test's own."""
    return Path(shutil.copytree(pristine, tmp_path / "net"))
