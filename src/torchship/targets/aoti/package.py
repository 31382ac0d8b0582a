"""The ``.pt2`` package: torch's own, without the sources and with names that don't change from run to run.

The sources carry paths and command lines of the machine that they were compiled on, and nobody reads them again.
"""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from torchship.errors import ConversionError

_CODE = "data/aotinductor/model/"
_KEPT = ("archive_format", "archive_version", "byteorder", ".data/version")


def write(made: Path, path: Path) -> None:
    """Write what the package ``made`` is loaded from to ``path``: the same bytes for the same code.

    Raises:
        ConversionError: it is laid out otherwise than torch 2.10 to 2.13 do it.
    """
    with zipfile.ZipFile(made) as package:
        kept = {new: old for old in package.namelist() if (new := _renamed(old)) is not None}
        if f"{_CODE}model.wrapper.so" not in kept:
            raise ConversionError(
                f"the package holds no compiled model, but {', '.join(package.namelist())[:200]}",
                hint="this release of torch lays its packages out otherwise: use one that torchship was tested with",
            )
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as lean:
            for new in sorted(kept):
                _copy(package, kept[new], lean, f"model/{new}")


def _renamed(old: str) -> str | None:
    """The name in the lean package; None for what is left out."""
    inner = old.partition("/")[2]
    if not inner.startswith(_CODE):
        return inner if inner in _KEPT or inner.startswith("data/weights/") else None
    name = inner.removeprefix(_CODE)
    if name.endswith(".wrapper.so"):
        return f"{_CODE}model.wrapper.so"
    if name.endswith(".wrapper_metadata.json"):
        return f"{_CODE}model.wrapper_metadata.json"
    return None if name.endswith((".cpp", ".kernel_metadata.json")) else inner


def _copy(package: zipfile.ZipFile, old: str, lean: zipfile.ZipFile, new: str) -> None:
    record = zipfile.ZipInfo(new, (1980, 1, 1, 0, 0, 0))
    record.file_size = package.getinfo(old).file_size
    with package.open(old) as source, lean.open(record, "w") as goal:
        shutil.copyfileobj(source, goal, 1 << 20)
