"""What a piece of work depends on, as one hash, found before torch is imported: that alone outlasts a rerun."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import msgspec

import torchship
from torchship.models.source import PythonObject, Source
from torchship.pipeline.options import ShipOptions


def work_key(source: Source, options: ShipOptions) -> str:
    """Hash of the source's own files, the labelled data, the versions at work, and this host."""
    digest = hashlib.sha256(
        msgspec.json.encode((source, options.evaluate, options.calibration, options.train), enc_hook=str)
    )
    for file in _files(source, options):
        digest.update(file_sha256(file).encode())
    digest.update(f"{_installed()};{_own_code()};{platform.python_version()};{_processor()}".encode())
    return digest.hexdigest()[:40]


def _files(source: Source, options: ShipOptions) -> Iterable[Path]:
    named = (source.python, source.model, options.evaluate, options.calibration, options.train)
    yield from (Path(each.file) for each in named if isinstance(each, PythonObject) and each.file)
    yield from (Path(each) for each in (source.file, source.example) if each and Path(each).is_file())
    yield from (each for each in (options.evaluate, options.calibration, options.train) if isinstance(each, Path))


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hex; ``missing`` where it isn't a file that can be read."""
    try:
        with path.open("rb") as stream:
            return (
                hashlib.file_digest(stream, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(path)
            )
    except OSError:
        return "missing"


def _digest(path: Path) -> str:
    """For Python 3.10, which lacks ``hashlib.file_digest``."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _installed() -> str:
    """Every installed package with its version, by the names of the folders that say so."""
    folders = [Path(path) for path in sys.path if Path(path).is_dir()]
    return ";".join(sorted(each.name for folder in folders for each in folder.glob("*.dist-info")))


@lru_cache(maxsize=1)
def _own_code() -> str:
    """Another torchship may convert otherwise: sizes and dates of its files stand for their content."""
    stats = [(path, path.stat()) for path in sorted(Path(torchship.__file__).parent.rglob("*.py"))]
    told = ";".join(f"{path}:{stat.st_size}:{stat.st_mtime_ns}" for path, stat in stats)
    return hashlib.sha256(told.encode()).hexdigest()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith("flags")), platform.machine())
