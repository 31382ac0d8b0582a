"""One page for all tests of this room."""

from __future__ import annotations

from pathlib import Path

import pytest

from torchship.cli.main import main


@pytest.fixture(scope="session")
def page_file(digits_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the digits bundle, as the command writes it."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert main(["report", str(digits_bundle), "-o", str(path)]) == 0
    return path


@pytest.fixture(scope="session")
def page(page_file: Path) -> str:
    return page_file.read_text(encoding="utf-8")
