"""A bundle as one file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from small_bundle import images, make_bundle, scores
from torchship import load
from torchship.bundle.opening import open_bundle
from torchship.errors import MalformedError, RefusedError, TamperedError, UnsafeError, UsageError


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("archive") / "net.ship")


def test_it_answers_as_the_folder_does_and_leaves_nothing(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with load(archive) as model:
        assert model(images(3)).tolist() == scores(images(3)).tolist()
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_same_inputs_give_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    assert make_bundle(tmp_path / "net.ship").read_bytes() == archive.read_bytes()


def test_any_zip_tool_reads_it(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        assert opened.namelist()[0] == "manifest.json"
        assert "artifacts/onnx/model.onnx" in opened.namelist()


def test_a_folder_packed_by_another_tool_is_read(pristine: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        for path in sorted(pristine.rglob("*")):
            opened.write(path, path.relative_to(pristine))
    with load(tmp_path / "other.zip") as model:
        assert model(images(1)).tolist() == scores(images(1)).tolist()


def test_it_replaces_a_ship_file_and_nothing_else(archive: Path, tmp_path: Path) -> None:
    place = tmp_path / "net.ship"
    place.write_bytes(archive.read_bytes())
    make_bundle(place, why="second")
    with open_bundle(place) as bundle:
        assert bundle.manifest.why == "second"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.ship"]
    place.write_bytes(b"mine")
    with pytest.raises(UsageError, match="is not overwritten"):
        make_bundle(place)
    assert place.read_bytes() == b"mine"


def test_a_flipped_byte_anywhere_is_refused(archive: Path, tmp_path: Path) -> None:
    raw = archive.read_bytes()
    place = tmp_path / "net.ship"
    harmless = 0
    for at in range(0, len(raw), 29):
        changed = bytearray(raw)
        changed[at] ^= 0x10
        place.write_bytes(changed)
        try:
            load(place).close()
            harmless += 1  # a time, a version or an attribute: nothing that is read
        except (RefusedError, UsageError):
            continue
    assert harmless < len(raw) / 29 * 0.1


def _rewritten(archive: Path, place: Path, change: dict[str, bytes], extra: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(place, "w") as new:
        for name in old.namelist():
            new.writestr(name, change.get(name, old.read(name)))
        for name, raw in extra.items():
            new.writestr(name, raw)
    return place


def test_a_changed_or_added_member_is_refused_by_its_name(archive: Path, tmp_path: Path) -> None:
    changed = _rewritten(archive, tmp_path / "a.ship", {"artifacts/onnx/model.onnx": b"other"}, {})
    with pytest.raises(TamperedError, match=r"artifacts/onnx/model\.onnx has 5 bytes instead of"):
        load(changed)
    added = _rewritten(archive, tmp_path / "b.ship", {}, {"golden/extra": b""})
    with pytest.raises(TamperedError, match="golden/extra doesn't belong to the bundle"):
        load(added)


def test_a_member_that_leaves_the_folder_is_refused_and_nothing_is_written(archive: Path, tmp_path: Path) -> None:
    slip = _rewritten(archive, tmp_path / "in" / "..", {}, {}) if False else tmp_path / "slip.ship"
    _rewritten(archive, slip, {}, {"../../slipped": b"x"})
    with pytest.raises((UnsafeError, MalformedError, UsageError)):
        load(slip)
    assert not (tmp_path.parent / "slipped").exists()


def test_a_file_that_is_no_archive_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "x.ship").write_bytes(b"hello")
    with pytest.raises(UsageError, match="is not a bundle"):
        load(tmp_path / "x.ship")
    with pytest.raises(UsageError, match="there is nothing at"):
        load(tmp_path / "missing")
