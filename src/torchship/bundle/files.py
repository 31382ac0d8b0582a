"""The files of a bundle: which there are, and whether they are what the manifest says."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from torchship.bundle.manifest import CHUNK, FileEntry
from torchship.errors import TamperedError

_BLOCK = 1 << 18  # what is read at once: it stays in the processor's cache while it is hashed
_PARALLEL = 2 * CHUNK  # below this the threads cost more than they bring
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
AGAIN = "get the bundle anew from where it was made, or ship the model again"


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
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    pending.append(path + "/")
                else:
                    _plain(status, path, folder)
                    sizes[path] = status.st_size
    return dict(sorted(sizes.items()))


def _plain(status: os.stat_result, path: str, folder: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        kinds = ((stat.S_ISLNK, "a link"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
        kind = next((name for test, name in kinds if test(status.st_mode)), "a device")
        raise TamperedError(f"{path} is {kind}, a bundle holds plain files only", where=str(folder), hint=AGAIN)


def entries_of(folder: Path, besides: Iterable[str] = ()) -> tuple[FileEntry, ...]:
    """Hash every file below ``folder`` but those named."""
    left_out = set(besides)
    sizes = {path: size for path, size in walk(folder).items() if path not in left_out}
    hashes = _hash_all(folder, sizes)
    return tuple(FileEntry(path, size, tuple(hashes[path])) for path, size in sizes.items())


def check(folder: Path, entries: Sequence[FileEntry], besides: Iterable[str] = ()) -> None:
    """Check that ``folder`` holds exactly ``entries`` and, where they are there, the files named in ``besides``.

    Raises:
        TamperedError: names the file that is missing, added, changed, cut short, or no plain file.
    """
    found = walk(folder)
    _check_names(folder, {entry.path for entry in entries}, found.keys() - set(besides))
    for entry in entries:
        if found[entry.path] != entry.size:
            was = f"{entry.path} has {found[entry.path]} bytes instead of {entry.size}"
            raise TamperedError(was, where=str(folder), hint=AGAIN)
    hashes = _hash_all(folder, {entry.path: entry.size for entry in entries})
    for entry in entries:
        if hashes[entry.path] != list(entry.chunks):
            was = f"{entry.path} was changed: its SHA-256 is not the manifest's"
            raise TamperedError(was, where=str(folder), hint=AGAIN)


def _check_names(folder: Path, wanted: set[str], found: set[str]) -> None:
    if missing := sorted(wanted - found):
        raise TamperedError(f"{missing[0]} is missing", where=str(folder), hint=AGAIN)
    if added := sorted(found - wanted):
        was = f"{added[0]} doesn't belong to the bundle: the manifest doesn't name it"
        raise TamperedError(was, where=str(folder), hint="remove it if you put it there; if not, trust nothing in it")


def _hash_all(folder: Path, sizes: dict[str, int]) -> dict[str, list[str]]:
    """SHA-256 of each chunk of each file, in parallel where that pays."""
    tasks = [(path, start) for path, size in sizes.items() for start in range(0, size, CHUNK)]
    work = [(folder / path, start) for path, start in tasks]
    if sum(sizes.values()) < _PARALLEL:
        digests: Iterator[str] = (_hash_chunk(one) for one in work)
    else:
        digests = _hash_in_threads(work)
    hashes: dict[str, list[str]] = {path: [] for path in sizes}
    for (path, _), digest in zip(tasks, digests, strict=True):
        hashes[path].append(digest)
    return hashes


def _hash_in_threads(work: list[tuple[Path, int]]) -> Iterator[str]:
    from concurrent.futures import ThreadPoolExecutor

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        yield from pool.map(_hash_chunk, work)


def _hash_chunk(place: tuple[Path, int]) -> str:
    path, start = place
    sha = hashlib.sha256()
    block = memoryview(bytearray(_BLOCK))
    with open_plain(path) as file:
        file.seek(start)
        left = CHUNK
        while left and (read := file.readinto(block[: min(_BLOCK, left)])):
            sha.update(block[:read])
            left -= read
    return sha.hexdigest()


def open_plain(path: Path) -> io.FileIO:
    """Open a plain file for reading, unbuffered; never through a link, never waiting for a pipe.

    Raises:
        TamperedError: it became something else since it was found.
    """
    try:
        handle = os.open(path, _FLAGS)
    except OSError as error:
        raise TamperedError(f"{path.name} can't be opened: {error.strerror}", where=str(path), hint=AGAIN) from error
    file = io.FileIO(handle)
    _plain(os.fstat(handle), path.name, path.parent)
    return file
