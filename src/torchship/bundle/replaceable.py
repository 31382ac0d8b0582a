"""Only a bundle, an empty folder or nothing may be where a bundle is to go: a user's files are never overwritten."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from torchship.bundle import archive, canonical
from torchship.bundle.manifest import MANIFEST, MEASUREMENTS, SIGNATURE
from torchship.errors import TorchshipError, UsageError


def check_replaceable(destination: Path) -> None:
    """Raise UsageError where ``destination`` holds something that is not a bundle."""
    if not destination.exists():
        _check_parents(destination)
    elif destination.suffix == archive.SUFFIX:
        if not archive.is_archive(destination):
            raise _taken(destination, "is not a bundle")
    elif not destination.is_dir():
        raise _taken(destination, "is a file, not a bundle")
    elif any(destination.iterdir()):
        _check_folder(destination)


def _check_parents(destination: Path) -> None:
    for parent in destination.parents:
        if parent.exists():
            if not parent.is_dir():
                raise UsageError(f"{destination} can't be made: {parent} is a file", hint="choose another place")
            return


def _check_folder(folder: Path) -> None:
    own = _own_files(folder)
    if own is None:
        raise _taken(folder, "is a folder that is not a bundle")
    foreign = next((path for path in _paths(folder) if path not in own), None)
    if foreign is not None:
        raise _taken(folder, f"is a bundle that also holds {foreign}, which torchship didn't put there")


def _own_files(folder: Path) -> set[str] | None:
    """Names of the files that the manifest names, and of the manifest; None where there is no manifest of a bundle."""
    try:
        document = canonical.parse((folder / MANIFEST).read_bytes(), MANIFEST)
        named = {str(entry["path"]) for entry in document["files"]}
        bundle = isinstance(document["schema"], int) and "shipped" in document
    except (OSError, TorchshipError, KeyError, TypeError):
        return None
    return named | {MANIFEST, MEASUREMENTS, SIGNATURE} if bundle else None


def _paths(folder: Path) -> Iterator[str]:
    for place, _, names in os.walk(folder):
        for name in names:
            yield (Path(place) / name).relative_to(folder).as_posix()


def _taken(destination: Path, why: str) -> UsageError:
    return UsageError(f"{destination} {why}: it is not overwritten", hint="choose another -o, or remove it yourself")
