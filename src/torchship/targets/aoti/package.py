"""The ``.pt2`` package: torch's own, without the sources and with names that don't change from run to run.

The sources carry paths and command lines of the machine that they were compiled on, and nobody reads them again.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from torchship.errors import ConversionError
from torchship.targets.lean import rewrite

_CODE = "data/aotinductor/model/"
_LIBRARY = f"model/{_CODE}model.wrapper.so"
_KEPT = ("archive_format", "archive_version", "byteorder", ".data/version")


def write(made: Path, path: Path) -> None:
    """Write what the package ``made`` is loaded from to ``path``: the same bytes for the same code.

    Raises:
        ConversionError: it is laid out otherwise than torch 2.13 does it.
    """
    with zipfile.ZipFile(made) as package:
        names = package.namelist()
    if _LIBRARY not in map(_renamed, names):
        raise ConversionError(
            f"the package holds no compiled model, but {', '.join(names)[:200]}",
            hint="this release of torch lays its packages out otherwise: use one that torchship was tested with",
        )
    rewrite(made, path, _renamed)


def _renamed(old: str) -> str | None:
    inner = old.partition("/")[2]
    if not inner.startswith(_CODE):
        return f"model/{inner}" if inner in _KEPT or inner.startswith("data/weights/") else None
    if inner.endswith(".wrapper.so"):
        return _LIBRARY
    for kept in (".wrapper_metadata.json", ".wrapper.json"):  # the second: calls that go by torch's dispatcher
        if inner.endswith(kept):
            return f"model/{_CODE}model{kept}"
    return None if inner.endswith((".cpp", ".kernel_metadata.json")) else f"model/{inner}"
