"""Which files the user's code read: with its imports they are what a stored reference depends on."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

_SYSTEM = ("/proc/", "/sys/", "/dev/")
_opened: set[str] = set()


def watch() -> None:
    """Note every file that Python opens from here on; lasts as long as the process."""
    sys.addaudithook(_note)


def _note(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(args[0], (str, bytes)):
        _opened.add(os.fsdecode(args[0]))


def user_files() -> tuple[str, ...]:
    """The user's own modules that were imported, and the files that were opened, by absolute path."""
    from torchship.models.openers.python import is_user_file

    imported = {str(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())}
    scratch = (*_SYSTEM, str(Path(tempfile.gettempdir()) / "torchship-"))
    found = {str(Path(path).resolve()) for path in (imported | _opened) if path and not path.endswith(".pyc")}
    return tuple(
        sorted(path for path in found if is_user_file(path) and not path.startswith(scratch) and Path(path).is_file())
    )
