"""Reads ``manifest.json`` and ``measurements.json``, which may come from anybody."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from torchship.bundle import canonical, files
from torchship.bundle.manifest import MANIFEST, MEASUREMENTS, SCHEMA, Manifest, Measurements
from torchship.bundle.sound import check_sound
from torchship.errors import MalformedError, TamperedError

_VERSION = re.compile(r"\d+(\.\d+){0,3}")
_T = TypeVar("_T")


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest; checks its seal and that it contradicts itself nowhere, not the files that it names.

    Raises:
        TamperedError: it is missing, or was changed after it was written.
        MalformedError: it is no manifest, or of a newer schema.
    """
    raw = _raw(folder, MANIFEST)
    document = canonical.parse(raw, MANIFEST)
    _check_schema(document)
    manifest = _convert(canonical.unseal(raw, document, MANIFEST), Manifest, MANIFEST)
    check_sound(manifest)
    return manifest


def read_measurements(folder: Path) -> Measurements:
    """Read the measurements, and check that they belong to the manifest beside them.

    Raises:
        TamperedError: they are missing, were changed, or are another bundle's.
        MalformedError: they are no measurements.
    """
    raw = _raw(folder, MEASUREMENTS)
    document = canonical.unseal(raw, canonical.parse(raw, MEASUREMENTS), MEASUREMENTS)
    measurements = _convert(document, Measurements, MEASUREMENTS)
    if measurements.manifest != canonical.parse(_raw(folder, MANIFEST), MANIFEST).get(canonical.SEAL):
        raise TamperedError(f"{MEASUREMENTS} belongs to another bundle", where=str(folder), hint=files.AGAIN)
    return measurements


def _raw(folder: Path, name: str) -> bytes:
    if not (folder / name).exists():
        raise TamperedError(f"{name} is missing", where=str(folder), hint=files.AGAIN)
    with files.open_plain(folder / name) as file:
        return file.read(canonical.MAX_BYTES + 1)


def _convert(document: dict[str, Any], kind: type[_T], name: str) -> _T:
    try:
        return msgspec.convert(document, kind, strict=True)
    except (msgspec.ValidationError, RecursionError) as error:
        raise MalformedError(f"{name} is not what it should be: {error}", where=name) from error


def _check_schema(document: dict[str, Any]) -> None:
    schema = document.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise MalformedError(f"{MANIFEST} is not a bundle's: it names no schema", where=MANIFEST)
    if schema > SCHEMA:
        version = str(document.get("readable_by"))
        needed = f">={version}" if _VERSION.fullmatch(version) else ""
        raise MalformedError(
            f"the bundle is of schema {schema}, this torchship reads up to {SCHEMA}",
            where=MANIFEST,
            hint=f"pip install --upgrade 'torchship{needed}'",
        )
