"""Opens a bundle's folder: the manifest, the measurements, and every file's hash, before anything is opened."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import msgspec

from torchship.bundle import canonical, files
from torchship.bundle.manifest import ARTIFACTS, MANIFEST, MEASUREMENTS, SCHEMA, SIGNATURE, Manifest, Measurements
from torchship.errors import MalformedError, TamperedError, UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A bundle whose files were found to be what its manifest says."""

    folder: Path
    manifest: Manifest
    measurements: Measurements

    def artifact_folder(self, name: str) -> Path:
        """Where the files of the artifact called ``name`` lie."""
        return self.folder / ARTIFACTS / name


def open_bundle(folder: Path) -> Bundle:
    """Read a bundle and check every file of it.

    Raises:
        UsageError: there is no bundle.
        TamperedError: a file is missing, added, changed, cut short, or no plain file.
        MalformedError: the manifest isn't one, or is of a newer schema.
    """
    files.walk(folder) if folder.is_dir() else _no_bundle(folder)
    manifest = read_manifest(folder)
    files.check(folder, manifest.files, besides=(MANIFEST, MEASUREMENTS, SIGNATURE))
    return Bundle(folder, manifest, read_measurements(folder))


def read_manifest(folder: Path) -> Manifest:
    """Read ``manifest.json`` alone; checks its seal and its paths, not the files that it names."""
    raw = _raw(folder, MANIFEST)
    document = canonical.parse(raw, MANIFEST)
    _check_schema(document)
    manifest = _convert(canonical.unseal(raw, document, MANIFEST), Manifest, MANIFEST)
    _check_paths(manifest)
    return manifest


def read_measurements(folder: Path) -> Measurements:
    """Read ``measurements.json`` and check its seal."""
    raw = _raw(folder, MEASUREMENTS)
    return _convert(canonical.unseal(raw, canonical.parse(raw, MEASUREMENTS), MEASUREMENTS), Measurements, MEASUREMENTS)


def _raw(folder: Path, name: str) -> bytes:
    path = folder / name
    if not path.is_file():
        if name == MANIFEST:
            _no_bundle(folder)
        raise TamperedError(f"{name} is missing", where=str(folder))
    with path.open("rb") as file:
        return file.read(canonical.MAX_BYTES + 1)


def _no_bundle(folder: Path) -> None:
    if not folder.exists():
        raise UsageError(f"there is no bundle at {folder}", hint="check the path; `torchship ship` makes one")
    raise UsageError(f"{folder} is not a bundle: it has no {MANIFEST}", hint="`torchship ship` makes one")


def _convert(document: dict[str, Any], kind: type[_T], name: str) -> _T:
    try:
        return msgspec.convert(document, kind, strict=True)
    except (msgspec.ValidationError, RecursionError) as error:
        raise MalformedError(f"{name} is not what it should be: {error}", where=name) from error


def _check_schema(document: dict[str, Any]) -> None:
    schema = document.get("schema")
    if not isinstance(schema, int):
        raise MalformedError(f"{MANIFEST} names no schema", where=MANIFEST)
    if schema > SCHEMA:
        needed = document.get("readable_by", "a newer version")
        raise MalformedError(
            f"the bundle is of schema {schema}, this torchship reads up to {SCHEMA}",
            hint=f"pip install 'torchship>={needed}'",
        )


def _check_paths(manifest: Manifest) -> None:
    for entry in manifest.files:
        check_path(entry.path)
    for shipped in manifest.shipped:
        if not _NAME.fullmatch(shipped.artifact.name):
            raise MalformedError(f"{shipped.artifact.name!r} is no artifact's name", where=MANIFEST)
        check_path(shipped.artifact.main)
    for path in manifest.golden:
        check_path(path)


def check_path(path: str) -> None:
    """Raise MalformedError unless ``path`` is a plain POSIX path that stays below where it starts."""
    parts = path.split("/")
    bad = "\\" in path or "\0" in path or PurePosixPath(path).is_absolute() or any(p in ("", ".", "..") for p in parts)
    if bad or (len(path) > 1 and path[1] == ":"):
        raise MalformedError(f"the path {path!r} leaves the bundle or is not a plain POSIX path", where=MANIFEST)
