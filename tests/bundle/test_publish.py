"""A bundle appears whole or not at all, and what was there before stays until the new one is whole."""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from small_bundle import artifact, images, make_bundle, scores
from torchship import load
from torchship.bundle import publish, scratch
from torchship.bundle.exchange import exchange
from torchship.bundle.opening import open_bundle
from torchship.bundle.publish import Staging
from torchship.errors import MalformedError, StorageError, UsageError


def _only(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _name(bundle: Path) -> str:
    with open_bundle(bundle) as opened:
        return opened.manifest.name


def test_it_appears_where_nothing_was_with_nothing_beside_it(tmp_path: Path) -> None:
    make_bundle(tmp_path / "new" / "folder" / "net")
    assert _only(tmp_path / "new" / "folder") == ["net"]
    assert load(tmp_path / "new" / "folder" / "net")(images(3)).tolist() == scores(images(3)).tolist()


def test_it_takes_the_place_of_the_one_that_is_there(bundle: Path) -> None:
    make_bundle(bundle, name="second")
    assert _name(bundle) == "second"
    assert _only(bundle.parent) == ["net"]


def test_it_takes_the_place_of_an_empty_folder_and_of_what_a_link_points_to(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    make_bundle(tmp_path / "empty")
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    make_bundle(tmp_path / "link", name="second")
    assert (tmp_path / "link").is_symlink()
    assert _name(tmp_path / "empty") == "second"
    assert _only(tmp_path) == ["empty", "link"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_nothing_remains_of_what_was_not_committed(bundle: Path, error: type[BaseException]) -> None:
    def fail(folder: Path) -> None:
        (folder / "model.onnx").write_bytes(b"half")
        raise error

    with pytest.raises(error):
        make_bundle(bundle, [(artifact(), fail)])
    assert _only(bundle.parent) == ["net"]
    assert _name(bundle) == "net"


def test_without_commit_nothing_appears(tmp_path: Path) -> None:
    with Staging(tmp_path / "net"):
        pass
    assert _only(tmp_path) == []


def _file(path: Path) -> None:
    path.write_text("mine")


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "mine").touch()


def _other_manifest(path: Path) -> None:
    path.mkdir()
    (path / "manifest.json").write_text('{"manifest_version": 3, "name": "a browser extension"}')


@pytest.mark.parametrize("make", [_file, _folder, _other_manifest])
def test_what_is_no_bundle_is_never_overwritten(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "net")
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="it is not overwritten"):
        make_bundle(tmp_path / "net")
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


def test_a_bundle_with_a_file_of_the_users_in_it_is_not_overwritten(bundle: Path) -> None:
    (bundle / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"is a bundle that also holds notes\.txt, which torchship didn't put there"):
        make_bundle(bundle)
    assert (bundle / "notes.txt").read_text() == "mine"


def test_what_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        (folder / "model.onnx").touch()
        _folder(tmp_path / "net")

    with pytest.raises(UsageError, match="it is not overwritten"):
        make_bundle(tmp_path / "net", [(artifact(), write)])
    assert _only(tmp_path / "net") == ["mine"]
    assert _only(tmp_path) == ["net"]


def test_a_destination_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="file is a file"):
        make_bundle(tmp_path / "file" / "net")


def test_all_may_read_it_whom_the_umask_lets(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        path = make_bundle(tmp_path / "net")
    finally:
        os.umask(before)
    assert {file.stat().st_mode & 0o777 for file in path.rglob("*") if file.is_file()} == {0o644}
    assert {folder.stat().st_mode & 0o777 for folder in (path, *path.rglob("*")) if folder.is_dir()} == {0o755}


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="no file system here that nobody may write to")
def test_a_place_that_can_not_be_written_is_told() -> None:
    with pytest.raises(StorageError, match="can't write /sys/kernel/net: ") as caught:
        make_bundle(Path("/sys/kernel/net"))
    assert caught.value.hint is not None
    assert "choose another place" in caught.value.hint


def test_a_disk_that_takes_no_more_leaves_the_old_bundle(bundle: Path) -> None:
    """A limit on files' sizes stands for a full disk: the write fails in the middle of a file."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    code = (
        "import signal, sys, pathlib; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from torchship.bundle.publish import Staging\n"
        "from torchship.errors import StorageError\n"
        "try:\n"
        "    with Staging(sys.argv[1]) as staging:\n"
        "        (staging.folder / 'big').write_bytes(bytes(3000))\n"
        "except StorageError as error:\n"
        "    print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(bundle)], preexec_fn=limit, capture_output=True, text=True, check=True
    )
    assert "the file is bigger than this system allows" in ran.stdout
    assert _only(bundle.parent) == ["net"]
    assert _name(bundle) == "net"


def test_two_paths_change_places(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "in a").touch()
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this file system can't")
    assert _only(tmp_path / "b") == ["in a"]
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "a", tmp_path / "missing")


def test_where_the_system_can_not_exchange_the_old_one_is_moved_aside(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "exchange", lambda one, other: False)
    make_bundle(bundle, name="second")
    assert _name(bundle) == "second"
    assert _only(bundle.parent) == ["net"]


def test_the_old_one_is_put_back_when_it_was_moved_aside_and_the_new_one_fails(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(one: Path, other: Path) -> bool:
        shutil.rmtree(one)  # so that the rename after it finds nothing to move
        return False

    monkeypatch.setattr(publish, "exchange", fail)
    with pytest.raises(StorageError):
        make_bundle(bundle, name="second")
    assert _name(bundle) == "net"
    assert _only(bundle.parent) == ["net"]


def test_what_a_killed_process_left_is_cleared_and_put_back(bundle: Path) -> None:
    left = bundle.parent / ".net.torchship-dead"
    left.mkdir()
    (left / "lock").touch()
    bundle.rename(left / scratch.OLD)
    make_bundle(bundle.parent / "other")
    assert _only(bundle.parent) == ["net", "other"]
    assert _name(bundle) == "net"


def test_what_a_living_process_has_is_left_alone(tmp_path: Path) -> None:
    with Staging(tmp_path / "one") as first:
        (first.folder / "file").touch()
        make_bundle(tmp_path / "two")
        assert (first.folder / "file").exists()
    assert _only(tmp_path) == ["two"]


def test_a_folder_that_only_bears_such_a_name_is_not_followed(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "file").touch()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / ".x.torchship-1").symlink_to(mine)
    make_bundle(tmp_path / "here" / "net")
    assert (mine / "file").exists()


def _crash(bundle: Path, start: int, delay: float) -> int:
    """Run the writer for ``delay`` seconds after its first bundle, kill it; give the last count that it told."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "crash.py"), str(bundle), str(start)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    told = [process.stdout.readline()]
    time.sleep(delay)
    process.kill()
    told += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    return int([line for line in told if line.endswith("\n")][-1])


@pytest.mark.parametrize("kills", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_a_kill_at_any_moment_leaves_the_old_or_the_new_bundle(tmp_path: Path, kills: int) -> None:
    bundle, last = tmp_path / "net", 0
    for kill in range(kills):
        last = _crash(bundle, last, random.Random(kill).uniform(0.0, 0.12))
        found = int(_name(bundle).removeprefix("bundle "))
        assert found in (last, last + 1)
    make_bundle(bundle, name="after")
    assert _only(tmp_path) == ["net"]


def test_of_two_processes_the_last_one_wins_whole_and_a_reader_sees_one_of_them(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "net", name="bundle 0")
    writer = [sys.executable, str(Path(__file__).parent / "crash.py"), str(bundle)]
    processes = [subprocess.Popen([*writer, start], stdout=subprocess.DEVNULL) for start in ("0", "1000000")]
    try:
        end = time.monotonic() + 3
        seen: set[int] = set()
        while time.monotonic() < end or len(seen) < 2:
            assert all(process.poll() is None for process in processes)
            seen.add(int(_name(bundle).removeprefix("bundle ")) // 1_000_000)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert seen == {0, 1}
    assert _name(bundle).startswith("bundle ")


def test_it_takes_no_unsound_manifest(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match="the chosen one is not there"):
        make_bundle(tmp_path / "net", chosen="other")
    assert _only(tmp_path) == []
