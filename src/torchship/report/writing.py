"""Puts the page where it was asked for: whole or not at all, and never where it would harm."""

from __future__ import annotations

import os
from pathlib import Path

from torchship.bundle.manifest import MANIFEST
from torchship.bundle.storage import storage_error
from torchship.errors import UsageError


def check_destination(path: Path) -> None:
    """Raise UsageError where no page can go: a folder, a folder that isn't there, or the inside of a bundle."""
    place = path.resolve()
    if place.is_dir():
        raise UsageError(f"{path} is a folder", hint="-o takes the page's own name: -o report.html")
    if not place.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", hint=f"mkdir -p {path.parent}")
    for folder in place.parents:
        if (folder / MANIFEST).exists():
            raise UsageError(
                f"{path} lies inside the bundle {folder.name}, which an added file would break",
                hint="choose another place for the page",
            )


def write_page(path: Path, page: str) -> None:
    """Write the page, over an older one if there is one.

    Raises:
        UsageError: as ``check_destination``.
        StorageError: no space, or no permission.
    """
    check_destination(path)
    place = path.resolve()
    half = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        half.write_text(page, encoding="utf-8")
        half.replace(place)
    except OSError as error:
        raise storage_error(error, path) from error
    finally:
        half.unlink(missing_ok=True)
