"""Opens a bundle, a folder or a ``.ship`` file: every file is checked before any of them is used."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path

from torchship.bundle import archive, files
from torchship.bundle.manifest import ARTIFACTS, GOLDEN, MANIFEST, MEASUREMENTS, SIGNATURE, Manifest, Measurements
from torchship.bundle.reading import read_manifest, read_measurements
from torchship.bundle.scratch import Scratch
from torchship.bundle.storage import storage_error
from torchship.errors import RefusedError, TamperedError, UsageError

Identity = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A bundle whose files were found to be what its manifest says. ``close`` removes what was unpacked to read it."""

    folder: Path
    manifest: Manifest
    measurements: Measurements
    scratch: Scratch | None = None
    identity: Identity = ()

    @property
    def replaced(self) -> bool:
        """Whether another bundle took its place since it was opened, so that its paths lead to other files now."""
        return bool(self.identity) and self.identity != _identity(self.folder)

    def artifact_folder(self, name: str) -> Path:
        """Where the files of the artifact called ``name`` lie."""
        return self.folder / ARTIFACTS / name

    def close(self) -> None:
        """Remove what was unpacked of a ``.ship`` file; nothing where the bundle is a folder."""
        if self.scratch is not None:
            self.scratch.remove()

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Read a bundle and check every file of it.

    Raises:
        UsageError: there is no bundle.
        TamperedError: a file is missing, added, changed, cut short, or no plain file.
        MalformedError: the manifest isn't one, or is of a newer schema.
        UnsafeError: a ``.ship`` file that reaches outside its folder, or contradicts itself.
        StorageError: a ``.ship`` file can't be unpacked into the temporary folder.
    """
    place = Path(path)
    if is_bundle(place):
        return _open_settled(place)
    if archive.is_archive(place):
        return _open_archive(place)
    if not place.exists():
        raise UsageError(f"there is nothing at {place}", hint="check the path; `torchship ship` makes a bundle")
    raise UsageError(f"{place} is not a bundle: it has no {MANIFEST}", hint="`torchship ship` makes one")


def is_bundle(place: Path) -> bool:
    """Whether ``place`` is a folder that is, or was, a bundle.

    Raises:
        TamperedError: it is one without its manifest.
    """
    if (place / MANIFEST).exists() or (place / MANIFEST).is_symlink():
        return True
    if place.is_dir() and (
        (place / MEASUREMENTS).exists() or ((place / ARTIFACTS).exists() and (place / GOLDEN).exists())
    ):
        raise TamperedError(f"{MANIFEST} is missing", where=str(place), hint=files.AGAIN)
    return False


def _open_archive(place: Path) -> Bundle:
    try:
        scratch = Scratch(Path(tempfile.gettempdir()) / "bundle")
        try:
            folder = scratch.folder / "bundle"
            folder.mkdir()
            archive.unpack(place, folder)
            return _open_folder(folder, scratch)
        except BaseException:
            scratch.remove()
            raise
    except OSError as error:
        raise storage_error(error, tempfile.gettempdir(), "can't unpack the bundle into") from error


def _open_settled(folder: Path) -> Bundle:
    """Open a folder; again where another bundle took its place meanwhile, for half of each is neither."""
    while True:
        identity = _identity(folder)
        try:
            bundle = _open_folder(folder, None, identity)
        except (RefusedError, FileNotFoundError):
            if identity == _identity(folder):
                raise
            continue
        if not bundle.replaced:
            return bundle


def _identity(folder: Path) -> Identity:
    """Which folder it is, and when it got there: the number of one that was removed may be given to the next."""
    try:
        found = folder.stat()
    except FileNotFoundError:
        return ()
    return found.st_ino, found.st_ctime_ns


def _open_folder(folder: Path, scratch: Scratch | None, identity: Identity = ()) -> Bundle:
    files.walk(folder)
    manifest = read_manifest(folder)
    files.check(folder, manifest.files, besides=(MANIFEST, MEASUREMENTS, SIGNATURE))
    return Bundle(folder, manifest, read_measurements(folder), scratch, identity)
