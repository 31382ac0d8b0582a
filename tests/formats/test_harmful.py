"""Whatever would run code, reach for files or never end is refused with its reason, and nothing of it is done."""

from __future__ import annotations

import contextlib
import pickle
import warnings
from pathlib import Path

import pytest
import torch

from formats import harmful
from formats.harmful import Maker
from torchship.errors import RefusedError
from torchship.formats import exported, recognise, torchscript
from torchship.models.openers import describe
from torchship.models.source import parse

ALL = {
    **{f"program: {name}": make for name, make in harmful.PROGRAMS.items()},
    **{f"script: {name}": make for name, make in harmful.SCRIPTS.items()},
    **{f"weights: {name}": make for name, make in harmful.WEIGHTS.items()},
}


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


@pytest.mark.parametrize("make", ALL.values(), ids=ALL.keys())
def test_it_is_not_safe_and_not_opened(make: Maker, tmp_path: Path, marker: Path) -> None:
    path = make(tmp_path, marker)
    found = recognise.look(path)
    assert found.reasons, f"a look at {path.name} found nothing"
    with pytest.raises(RefusedError) as refused:
        describe(parse(str(path), inputs=("x:float32[2,4]",) if path.suffix == ".pt" else ()))
    assert refused.value.exit_status == 3
    assert not marker.exists()


def test_the_sound_files_beneath_are_safe(tmp_path: Path) -> None:
    assert recognise.look(harmful.program(tmp_path)).kind == exported.KIND
    assert not recognise.look(harmful.program(tmp_path)).reasons
    assert recognise.look(harmful.script(tmp_path)).kind == torchscript.KIND
    assert not recognise.look(harmful.script(tmp_path)).reasons


@pytest.mark.parametrize("name", ["a size that is code", "a guard that is code", "sample inputs that run code"])
def test_torch_itself_would_have_run_it(name: str, tmp_path: Path, marker: Path) -> None:
    """The marker can show it: else its absence would prove nothing."""
    path = harmful.PROGRAMS[name](tmp_path, marker)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(AssertionError, AttributeError, TypeError):  # after it did what it did
            torch.export.load(path).module()(torch.zeros(2, 4))
    assert marker.exists()


def test_pickle_itself_would_have_run_it(tmp_path: Path, marker: Path) -> None:
    pickle.loads(harmful.WEIGHTS["a plain pickle"](tmp_path, marker).read_bytes())
    assert marker.exists()
