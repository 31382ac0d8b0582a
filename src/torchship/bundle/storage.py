"""Says what is wrong with a disk or a folder, and what to do about it."""

from __future__ import annotations

import errno
from pathlib import Path

from torchship.errors import StorageError

_SENTENCES = {
    errno.ENOSPC: ("there is no space left", "free some space, or choose another place"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, or choose another place"),
    errno.EROFS: ("the file system is read-only", "choose another place"),
    errno.EACCES: ("writing there is not permitted", "change the folder's permissions, or choose another place"),
    errno.EPERM: ("writing there is not permitted", "change the folder's permissions, or choose another place"),
    errno.EFBIG: ("the file is bigger than this system allows", "raise the limit (ulimit -f), or choose another place"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
}
OF_THE_DISK = frozenset(_SENTENCES)
"""What goes wrong with a disk or a folder, whatever was being written."""


def storage_error(error: OSError, path: Path | str, doing: str = "can't write") -> StorageError:
    """Give the error for a person; ``doing`` is what was tried."""
    what, hint = _SENTENCES.get(error.errno or 0, (error.strerror or str(error), "check the disk and its permissions"))
    return StorageError(f"{doing} {path}: {what}", where=str(error.filename or path), hint=hint)
