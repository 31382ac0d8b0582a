"""A bundle as one ``.ship`` file: a zip archive of its folder, nothing compressed, the same bytes each time."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, cast

from torchship.bundle import files
from torchship.bundle.manifest import MANIFEST
from torchship.errors import MalformedError, RefusedError
from torchship.formats import zips

SUFFIX = ".ship"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip archive can tell


def pack(folder: Path, destination: Path) -> None:
    """Write the archive of ``folder``, the manifest first; raises OSError."""
    import zipfile

    names = sorted(files.walk(folder), key=lambda name: (name != MANIFEST, name))
    with zipfile.ZipFile(destination, "w", zipfile.ZIP_STORED) as archive:
        for name in names:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o100644 << 16
            info.file_size = (folder / name).stat().st_size
            with (folder / name).open("rb") as source, archive.open(info, "w") as target:
                while block := source.read(1 << 20):
                    target.write(block)


def is_archive(path: Path) -> bool:
    """Whether ``path`` is a zip archive with a manifest in it."""
    try:
        with path.open("rb") as file:
            return zips.is_zip(file.read(4)) and any(member.name == MANIFEST for member in zips.members(file))
    except (OSError, RefusedError):
        return False


def unpack(path: Path, folder: Path) -> None:
    """Unpack an archive into the empty ``folder``.

    Raises:
        MalformedError, UnsafeError: the archive is damaged, contradicts itself, or reaches outside the folder.
        OSError: no space.
    """
    with files.open_plain(path) as raw:
        file = cast("BinaryIO", raw)
        members = zips.members(file)
        if not any(member.name == MANIFEST for member in members):
            raise MalformedError(f"{path.name} is a zip archive, but holds no {MANIFEST}", where=str(path))
        for member in members:
            target = folder / member.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as copy:
                for block in zips.content(file, member):
                    copy.write(block)
