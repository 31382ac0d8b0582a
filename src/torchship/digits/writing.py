"""Writes the trained file whole or not at all."""

from __future__ import annotations

import io
import os
import secrets
from pathlib import Path
from typing import Any

import torch

from torchship.errors import StorageError, UsageError


def check_destination(path: Path) -> None:
    """Find out before the training whether its result can be written to ``path``.

    Raises UsageError where it is no place for a file, StorageError where it can't be written.
    """
    if path.is_dir() or (path.exists() and not path.is_file()):
        raise UsageError(f"{path} is not a file", hint="-o takes the name of the file to write, as in digits.pth")
    if not path.resolve().parent.is_dir():
        raise UsageError(f"the folder {path.parent} is not there", hint=f"mkdir -p {path.parent}")
    probe = _beside(path)
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise _unwritable(path, error) from error


def write(path: Path, content: dict[str, Any]) -> None:
    """``torch.save`` beside ``path``, then a rename onto it. Raises as `check_destination` does."""
    check_destination(path)
    packed = io.BytesIO()
    torch.save(content, packed)  # not to the file itself: a full disk would come out as torch's own RuntimeError
    half = _beside(path)
    try:
        with half.open("xb") as file:
            file.write(packed.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        half.replace(path.resolve())
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        half.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """In the folder of the file itself, not of a link to it: a rename stays within one file system."""
    path = path.resolve()
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path} can't be written: {error.strerror}", where=str(path.parent), hint="another -o, or make room there"
    )
