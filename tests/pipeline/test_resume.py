"""A rerun does nothing twice; a change of anything that matters does it anew."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from torchship.models.source import parse
from torchship.pipeline.key import file_sha256, work_key
from torchship.pipeline.options import ShipOptions
from torchship.pipeline.ship import ship_source
from torchship.pipeline.store import Store, stored
from torchship.worker.process import Worker

NET = """
import pathlib, torch
from helper import SIZE
def make():
    torch.manual_seed(int(pathlib.Path(__file__).with_name("seed.txt").read_text()))
    return {"model": torch.nn.Linear(4, SIZE).eval(), "args": (torch.randn(2, 4),)}
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text("SIZE = 3\n")
    (tmp_path / "seed.txt").write_text("1")
    (tmp_path / "resumed.py").write_text(NET)
    return tmp_path / "resumed.py"


@pytest.fixture
def started(monkeypatch) -> list[str]:
    """Names of the logs of all workers that were started."""
    names: list[str] = []
    begin = Worker.__init__

    def note(self, log, **kwargs):
        names.append(log.name.rpartition("-")[0])
        begin(self, log, **kwargs)

    monkeypatch.setattr(Worker, "__init__", note)
    return names


def ship(source: Path, targets: str = "torchscript:trace"):
    return ship_source(parse(f"{source}:make"), ShipOptions(source.parent / "out", targets))


def test_a_rerun_starts_no_worker_and_gives_the_same_bundle(source, started):
    first = ship(source)
    manifest = (source.parent / "out" / "manifest.json").read_bytes()
    assert started
    started.clear()
    second = ship(source)
    assert not started
    assert second == first
    assert (source.parent / "out" / "manifest.json").read_bytes() == manifest


def test_one_more_target_costs_only_that_target(source, started):
    ship(source)
    started.clear()
    ship(source, "torchscript:trace torchscript:trace exported")
    assert [name for name in started if not name.startswith("time")] == [
        "convert-exported-export",
        "prove-exported-export",
    ]


@pytest.mark.parametrize(
    ("file", "text"), [pytest.param("seed.txt", "2", marks=pytest.mark.slow), ("helper.py", "SIZE = 5\n")]
)
def test_a_file_that_the_source_reads_or_imports_counts(source, started, file, text):
    ship(source)
    started.clear()
    (source.parent / file).write_text(text)
    ship(source)
    assert "observe" in started


@pytest.mark.slow
def test_what_timed_out_is_tried_again(source, started):
    (source.parent / "resumed.py").write_text(
        "import torch, time, os\n"
        "class Slow(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        if torch.jit.is_tracing():\n"
        "            time.sleep(60)\n"
        "        return x * 2\n"
        "def make():\n"
        "    return {'model': Slow().eval(), 'args': (torch.randn(2, 4),)}\n"
    )
    options = ShipOptions(source.parent / "out", "torchscript:trace exported", timeout=8)
    for _ in range(2):
        started.clear()
        result = ship_source(parse(f"{source}:make"), options)
        assert "convert-torchscript-trace" in started
        assert "took longer" in result.artifacts[0].reason
    assert "convert-exported-export" not in started


def test_the_key_knows_files_and_options(source, tmp_path):
    options = ShipOptions(Path("out"))
    before = work_key(parse(f"{source}:make"), options)
    assert before == work_key(parse(f"{source}:make"), msgspec.structs.replace(options, output=Path("other")))
    source.write_text(NET + "\n")
    assert before != work_key(parse(f"{source}:make"), options)


def test_a_missing_file_has_a_hash_of_its_own(tmp_path):
    assert file_sha256(tmp_path / "none") == "missing"


def test_a_record_that_was_cut_short_counts_as_none(tmp_path):
    class Record(msgspec.Struct):
        value: int

    with Store(tmp_path / "entry") as store:
        store.put("a", Record(3))
        assert store.get("a", Record) == Record(3)
        (tmp_path / "entry" / "a.json").write_text('{"val')
        assert store.get("a", Record) is None
        (tmp_path / "entry" / "a.json").write_text(json.dumps({"other": 1}))
        assert store.get("a", Record) is None


def test_without_a_cache_the_work_lies_in_scratch(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TORCHSHIP_CACHE", str(tmp_path / "file"))
    with stored("key", tmp_path) as store:
        assert store.folder == tmp_path / "work"


def test_the_oldest_entries_go_first(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHSHIP_CACHE", str(tmp_path))
    for number in range(20):
        with stored(f"key{number}", tmp_path):
            pass
    left = {path.name for path in (tmp_path / "work").iterdir()}
    assert len(left) == 16
    assert "key19" in left
