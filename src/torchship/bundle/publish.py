"""A bundle appears whole or not at all, and the one that was there before stays until the new one is whole."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import TracebackType

import msgspec

from torchship.bundle import archive, canonical, files, golden
from torchship.bundle.exchange import exchange
from torchship.bundle.manifest import ARTIFACTS, GOLDEN, MANIFEST, MEASUREMENTS, Manifest, Measurements
from torchship.bundle.replaceable import check_replaceable
from torchship.bundle.scratch import OLD, Scratch
from torchship.bundle.sound import check_sound
from torchship.bundle.storage import OF_THE_DISK, storage_error
from torchship.errors import StorageError
from torchship.signature import Signature

_ATTEMPTS = 10  # another process may put its bundle there, or take it away, between two steps


class Staging:
    """A folder to fill, which becomes the bundle at ``destination`` when it is committed.

    ::

        with Staging(Path("out")) as staging:
            make_onnx(staging.artifact_folder("onnx"))
            golden = (staging.add_golden(signature, Golden(inputs, outputs)),)
            staging.commit(manifest, measurements)

    Left without ``commit``, also by an exception, nothing of it remains and what was at ``destination`` is untouched.
    A ``destination`` that ends in ``.ship`` becomes one file.
    """

    def __init__(self, destination: str | os.PathLike[str]) -> None:
        self.destination = Path(destination).resolve()
        self.folder = Path()
        self._goldens = 0

    def __enter__(self) -> Staging:
        """Make the folder.

        Raises:
            UsageError: something that is no bundle is at the destination.
            StorageError: nothing can be written there.
        """
        check_replaceable(self.destination)
        try:
            self.destination.parent.mkdir(parents=True, exist_ok=True)
            self._scratch = Scratch(self.destination)
            self.folder = self._scratch.folder / "bundle"
            self.folder.mkdir()
        except OSError as error:
            raise storage_error(error, self.destination) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._scratch.remove()
        if isinstance(error, OSError) and error.errno in OF_THE_DISK:
            raise storage_error(error, self.destination) from error

    def artifact_folder(self, name: str) -> Path:
        """Make the folder for the files of the artifact called ``name``."""
        folder = self.folder / ARTIFACTS / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def add_golden(self, signature: Signature, sample: golden.Golden) -> str:
        """Write a golden sample; give its path for the manifest."""
        path = f"{GOLDEN}/{self._goldens}.safetensors"
        golden.write(self.folder / path, signature, sample)
        self._goldens += 1
        return path

    def commit(self, manifest: Manifest, measurements: Measurements) -> Manifest:
        """Hash what was put into the folder, write the manifest, and let the bundle appear; ``files`` is filled in.

        Raises:
            UsageError: something that is no bundle appeared at the destination meanwhile.
            StorageError: no space, or no permission; what was there before is still there.
            MalformedError: the manifest contradicts itself, or names files that were not written.
        """
        try:
            complete = msgspec.structs.replace(manifest, files=files.entries_of(self.folder))
            check_sound(complete)
            self._write(complete, measurements)
            _sync(self.folder)
            check_replaceable(self.destination)
            self._appear()
            _sync_one(self.destination.parent)
        except OSError as error:
            raise storage_error(error, self.destination) from error
        return complete

    def _write(self, manifest: Manifest, measurements: Measurements) -> None:
        document = canonical.seal(manifest)
        (self.folder / MANIFEST).write_bytes(document)
        bound = msgspec.structs.replace(measurements, manifest=canonical.parse(document, MANIFEST)[canonical.SEAL])
        (self.folder / MEASUREMENTS).write_bytes(canonical.seal(bound))
        mode = (self.folder / MANIFEST).stat().st_mode  # what the user's umask gives; some writers take the rest away
        for entry in manifest.files:
            (self.folder / entry.path).chmod(mode)

    def _appear(self) -> None:
        if self.destination.suffix == archive.SUFFIX:
            packed = self._scratch.folder / "packed"
            archive.pack(self.folder, packed)
            _sync_one(packed)
            packed.replace(self.destination)
        else:
            put(self.folder, self.destination, self._scratch.folder / OLD)


def put(folder: Path, destination: Path, aside: Path) -> None:
    """Move ``folder`` to ``destination``; a folder that is there takes its place, or goes to ``aside``, never both.

    Where the system can't let them change places in one step, there is a moment without a bundle at ``destination``;
    a process that is killed in it leaves the old one ``aside``, from where the next run takes it back.

    Raises:
        OSError: what was at ``destination`` is still there.
        StorageError: other processes keep putting something there.
    """
    for _ in range(_ATTEMPTS):
        try:
            folder.rename(destination)
        except OSError:
            if not destination.is_dir():
                raise
        else:
            return
        try:
            if exchange(folder, destination):
                return
            shutil.rmtree(aside, ignore_errors=True)
            destination.rename(aside)
        except FileNotFoundError:  # gone since we looked: the plain rename will do
            continue
    raise StorageError(
        f"{destination} keeps changing while it is written", hint="stop the other process that writes there"
    )


def _sync(folder: Path) -> None:
    """Have everything below ``folder`` on the disk, folders last."""
    for path, below, names in os.walk(folder, topdown=False):
        for name in (*names, *below):
            _sync_one(Path(path) / name)
    _sync_one(folder)


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
