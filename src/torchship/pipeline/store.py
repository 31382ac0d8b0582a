"""Work that was done before, kept by its key: a rerun takes a second, an interrupted run goes on where it was."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import msgspec

from torchship.measure.tuned import cache_folder

_T = TypeVar("_T", bound=msgspec.Struct)
_ENTRIES = 16  # kept at most: an entry holds a model several times over
_BYTES = 8_000_000_000


class Store:
    """One key's folder, held by this process alone while it is open; records appear in it whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("w")

    def __enter__(self) -> Store:
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.utime(self.folder)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._lock.close()

    def get(self, name: str, kind: type[_T]) -> _T | None:
        """Read a record; None where there is none, or one that isn't readable any more."""
        try:
            return msgspec.json.decode((self.folder / f"{name}.json").read_bytes(), type=kind)
        except (OSError, msgspec.DecodeError, msgspec.ValidationError):
            return None

    def put(self, name: str, record: msgspec.Struct) -> None:
        """Write a record."""
        fresh = self.folder / f"{name}.json.new"
        fresh.write_bytes(msgspec.json.encode(record))
        fresh.replace(self.folder / f"{name}.json")

    def clear(self) -> None:
        """Forget everything under this key."""
        for path in self.folder.iterdir():
            if path.name != "lock":
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def fresh_folder(self, *parts: str) -> Path:
        """Make an empty folder; what an interrupted run left there is gone."""
        made = self.folder.joinpath(*parts)
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        return made


@contextmanager
def stored(key: str, temporary: Path) -> Iterator[Store]:
    """Open the key's folder in the cache; where that can't be written to, a scratch folder takes its place."""
    work = cache_folder() / "work"
    try:
        store = Store(work / key)
    except OSError:
        store = Store(temporary / "work")
    with store:
        yield store
    _prune(work, key)


def _prune(work: Path, keep: str) -> None:
    """Drop the oldest entries beyond the bounds; one that another process holds stays."""
    if not work.is_dir():
        return
    entries = sorted((each for each in work.iterdir() if each.is_dir()), key=lambda each: -each.stat().st_mtime)
    room = _BYTES
    for place, entry in enumerate(entries):
        room -= sum(path.stat().st_size for path in entry.rglob("*") if path.is_file())
        if (place >= _ENTRIES or room < 0) and entry.name != keep and _free(entry):
            shutil.rmtree(entry, ignore_errors=True)


def _free(entry: Path) -> bool:
    try:
        with (entry / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
