from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.asking import Ask, Tell
from small_bundle import make_bundle
from torchship.cli.main import main


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that no test changes."""
    return make_bundle(tmp_path_factory.mktemp("cli") / "net")


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a command with ``--json``; give its exit status and its one JSON object."""

    def run(*words: object) -> tuple[int, Any]:
        status = main([*map(str, words), "--json"])
        out = capsys.readouterr().out
        assert out.count("\n") == 1
        return status, json.loads(out)

    return run


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Run a command as a person does; give its exit status, stdout and stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        status = main([*map(str, words)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run
