"""Tells a file that ``train digits`` wrote from any other, executing nothing in it. No torch."""

from __future__ import annotations

import io
import pickletools
import zipfile
from itertools import islice
from pathlib import Path

FORMAT = "torchship.digits"

_FIRST_OPCODES = 16


def is_digits(path: Path) -> bool:
    """Whether ``path`` is an archive of torch whose first entry says so.

    The pickle is read as a list of opcodes, never run. False also where the file can't be read: whoever opens it
    then says why.
    """
    if not path.is_file():
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return _first_words(_pickle_head(archive)) == ["format", FORMAT]
    except (OSError, zipfile.BadZipFile, ValueError):
        return False


def all_stored(path: Path) -> bool:
    """Whether no entry is compressed, as torch writes them: what it takes in memory is then the file's size."""
    with zipfile.ZipFile(path) as archive:
        return all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())


def _pickle_head(archive: zipfile.ZipFile) -> bytes:
    for entry in archive.infolist():
        encrypted = entry.flag_bits & 1
        if entry.filename.endswith("/data.pkl") and entry.compress_type == zipfile.ZIP_STORED and not encrypted:
            with archive.open(entry) as file:
                return file.read(256)
    return b""


def _first_words(pickle: bytes) -> list[str]:
    opcodes = islice(pickletools.genops(io.BytesIO(pickle)), _FIRST_OPCODES)
    words = [str(argument) for code, argument, _ in opcodes if code.name == "BINUNICODE"]
    return words[:2]
