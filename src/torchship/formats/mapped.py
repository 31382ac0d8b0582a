"""A file as a view of its bytes, mapped rather than read: parsers look at the headers of files of many gigabytes."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torchship.errors import MalformedError, UsageError


@contextmanager
def mapped(path: Path) -> Iterator[memoryview]:
    """Give the file's bytes.

    Raises:
        UsageError: there is no such file, or it may not be read.
        MalformedError: it is a pipe, a device or a folder.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise UsageError(
            f"{path} can't be read: {error.strerror}", hint="check the path and its permissions"
        ) from error
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise MalformedError(f"{path} is no plain file", where=str(path))
        if status.st_size == 0:
            yield memoryview(b"")
            return
        yield memoryview(mmap.mmap(handle, 0, access=mmap.ACCESS_READ))  # ends with the last view of it
    finally:
        os.close(handle)
