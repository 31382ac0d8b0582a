"""The files of a bundle: which there are, and whether they are what the manifest says."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from torchship.bundle.manifest import FileEntry
from torchship.errors import TamperedError

CHUNK = 16 << 20
_AGAIN = "get the bundle anew from where it was made, or ship the model again"


def walk(folder: Path) -> dict[str, int]:
    """Give the size of each file below ``folder`` by its POSIX path, sorted.

    Raises:
        TamperedError: there is a link, a pipe, a socket or a device.
    """
    sizes: dict[str, int] = {}
    pending = [""]
    while pending:
        below = pending.pop()
        with os.scandir(folder / below) as entries:
            for entry in entries:
                path = f"{below}{entry.name}"
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    pending.append(path + "/")
                elif stat.S_ISREG(mode):
                    sizes[path] = entry.stat(follow_symlinks=False).st_size
                else:
                    raise TamperedError(
                        f"{path} is {_kind(mode)}, a bundle holds plain files only", where=str(folder / path)
                    )
    return dict(sorted(sizes.items()))


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISLNK, "a link"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((name for test, name in kinds if test(mode)), "a device")


def entry_of(folder: Path, path: str) -> FileEntry:
    """Hash a file that was just written."""
    chunks, size = _hash(folder / path)
    return FileEntry(path, size, tuple(chunks))


def entries_of(folder: Path, besides: Iterable[str] = ()) -> tuple[FileEntry, ...]:
    """Hash every file below ``folder`` but those named."""
    left_out = set(besides)
    return tuple(entry_of(folder, path) for path in walk(folder) if path not in left_out)


def check(folder: Path, entries: Sequence[FileEntry], besides: Iterable[str] = ()) -> None:
    """Check that ``folder`` holds exactly ``entries`` and the files named in ``besides``.

    Raises:
        TamperedError: names the file that is missing, added, changed or cut short.
    """
    found = walk(folder)
    expected = {entry.path: entry for entry in entries}
    for path in sorted(expected.keys() - found.keys()):
        raise TamperedError(f"{path} is missing", where=str(folder), hint=_AGAIN)
    for path in sorted(found.keys() - expected.keys() - set(besides)):
        raise TamperedError(
            f"{path} doesn't belong to the bundle: the manifest doesn't name it",
            where=str(folder),
            hint=f"remove it, or {_AGAIN}",
        )
    for path, entry in expected.items():
        if found[path] != entry.size:
            raise TamperedError(
                f"{path} has {found[path]} bytes instead of {entry.size}", where=str(folder), hint=_AGAIN
            )
    for entry in entries:
        if _hash(folder / entry.path) != (list(entry.chunks), entry.size):
            raise TamperedError(f"{entry.path} was changed: its hash doesn't fit", where=str(folder), hint=_AGAIN)


def _hash(path: Path) -> tuple[list[str], int]:
    chunks: list[str] = []
    size = 0
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            chunks.append(hashlib.sha256(piece).hexdigest())
            size += len(piece)
    return chunks, size
