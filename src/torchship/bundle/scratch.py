"""A scratch folder beside the place where something is to appear; what a killed process left is cleared away.

Its owner holds a lock (flock) on the file ``lock`` in it for as long as it lives: a scratch folder whose lock can be
taken belongs to nobody.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import weakref
from pathlib import Path

try:
    import fcntl
except ImportError:  # pragma: no cover - no flock on this system: nothing is taken for stale there
    fcntl = None  # type: ignore[assignment]

_MARK = ".torchship-"
_LOCK = "lock"
OLD = "old"  # what was moved aside where two paths can't change places in one step


class Scratch:
    """``folder`` is on the file system of ``destination`` and exists until ``remove``, or until the process ends."""

    def __init__(self, destination: Path) -> None:
        """Make it, and clear away what killed processes left beside it; raises OSError."""
        self.destination = destination
        clear_stale(destination.parent)
        self.folder, handle = _make(destination)
        self._finalizer = weakref.finalize(self, _remove, self.folder, handle, os.getpid())

    def remove(self) -> None:
        """Take it away with all that is in it; what was moved aside, and replaced by nothing, goes back first."""
        self._finalizer()


def _remove(folder: Path, handle: int, owner: int) -> None:
    if os.getpid() == owner:  # a forked child ends before its parent is done
        _put_back(folder)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _make(destination: Path) -> tuple[Path, int]:
    while True:
        folder = destination.parent / f".{destination.name}{_MARK}{secrets.token_hex(4)}"
        folder.mkdir(mode=0o700)
        handle = _take(folder)
        if handle is not None:
            return folder, handle


def _take(folder: Path) -> int | None:
    """Lock ``folder``; None where it has an owner, or is gone by the time that it is locked."""
    try:
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError:
        return None
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_ino == (folder / _LOCK).stat().st_ino:
            return handle
    except OSError:  # another process holds it, or cleared it away between the two steps
        pass
    os.close(handle)
    return None


def clear_stale(parent: Path) -> None:
    """Remove the scratch folders below ``parent`` whose owners are dead; put back what one had moved aside."""
    if fcntl is None or not parent.is_dir():
        return
    for folder in parent.glob(f".*{_MARK}*"):
        handle = _take(folder) if _ours(folder) else None
        if handle is not None:
            _put_back(folder)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(handle)


def _ours(folder: Path) -> bool:
    try:
        status = folder.lstat()
    except FileNotFoundError:  # its owner was quicker
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()


def _put_back(folder: Path) -> None:
    """Undo what was left half done: the old bundle was moved aside and the new one not yet put in its place."""
    destination = folder.parent / folder.name[1:].rsplit(_MARK, 1)[0]
    if (folder / OLD).exists() and not destination.exists():
        (folder / OLD).rename(destination)
