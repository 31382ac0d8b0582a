"""Rewrites torch's zip archives with what is needed to run them: no sources, no paths, no dates."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

_DATE = (1980, 1, 1, 0, 0, 0)


def rewrite(made: Path, path: Path, renamed: Callable[[str], str | None]) -> None:
    """Copy the records of ``made`` to a new archive at ``path``, uncompressed: the same bytes for the same records.

    ``renamed`` gives a record's new name, or None for what is left out.
    """
    with zipfile.ZipFile(made) as archive, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as lean:
        kept = {new: old for old in archive.namelist() if (new := renamed(old)) is not None}
        for new in sorted(kept):
            record = zipfile.ZipInfo(new, _DATE)
            record.file_size = archive.getinfo(kept[new]).file_size
            with archive.open(kept[new]) as source, lean.open(record, "w") as goal:
                shutil.copyfileobj(source, goal, 1 << 20)
