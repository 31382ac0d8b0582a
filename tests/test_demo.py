"""``make demo`` as it stands: everything that it shows was checked by itself, so that it ends well says much."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from torchship.cli.main import main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


def test_demo(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "scripts/demo.py", tmp_path / "demo"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("✓")] == [
        "train", "ship", "verify", "serve", "predict", "report",
    ]  # fmt: skip
    assert "chosen" in done.stdout
    assert main(["verify", str(tmp_path / "demo/digits")]) == 0
    page = (tmp_path / "demo/report.html").read_text(encoding="utf-8")
    assert page.count('class="picture"') == 20


def test_demo_fails_loudly(tmp_path: Path) -> None:
    """A folder where the trained net belongs: the command that can't go on is named, with what it said."""
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/digits.pth").mkdir()
    command = [sys.executable, ROOT / "scripts/demo.py", tmp_path / "demo"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert "train digits" in done.stderr
    assert "exit status 2" in done.stderr
    assert "is not a file" in done.stderr
    assert "✓" not in done.stdout
