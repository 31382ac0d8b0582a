"""What tuning found for a bundle on a host, in the user's cache: never in the bundle, which other hosts run too."""

from __future__ import annotations

import hashlib
import math
import os
from pathlib import Path

import msgspec

from torchship.bundle.artifact import Settings
from torchship.bundle.manifest import MANIFEST, Latency, Shipped
from torchship.measure.compare import Ratio
from torchship.measure.cores import cores
from torchship.measure.host import cpu_flags, cpu_name
from torchship.measure.versions import installed

_FOLDER = "tuned"
_RUNTIMES = ("torchship", "onnxruntime", "openvino", "torch")


class Entry(msgspec.Struct, frozen=True):
    """One artifact with the settings that were quickest. ``against``: over those that it was shipped with."""

    artifact: str
    settings: Settings
    latency_ms: Latency
    against: Ratio
    batch: int
    tried: int = 1


class Record(msgspec.Struct, frozen=True):
    """A bundle's artifacts on this host, the quickest first."""

    host: str
    entries: tuple[Entry, ...]

    def find(self, artifact: str) -> Entry | None:
        """The entry of ``artifact``."""
        return next((each for each in self.entries if each.artifact == artifact), None)

    def order(self, shipped: Shipped) -> tuple[bool, float]:
        """A key to sort by: those that met their constraints, the quickest first; those that weren't tuned last."""
        entry = self.find(shipped.artifact.name)
        return not shipped.fits, entry.latency_ms.p50 if entry is not None else math.inf


def cache_folder() -> Path:
    """``$TORCHSHIP_CACHE``, else ``torchship`` in the user's own cache folder."""
    if given := os.environ.get("TORCHSHIP_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "torchship"


def read(bundle: Path) -> Record | None:
    """What was found for the bundle in this folder, on a CPU like this one with these runtimes; None where nothing."""
    if not any((cache_folder() / _FOLDER).glob(f"{_digest(bundle)}-*")):
        return None  # as nearly always: the host need not be asked what it is
    try:
        return msgspec.json.decode(_path(bundle).read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return None


def write(bundle: Path, entries: tuple[Entry, ...]) -> Path:
    """Keep what was found; another process reads it whole or not at all.

    Raises:
        OSError: the cache can't be written to.
    """
    path = _path(bundle)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_bytes(msgspec.json.encode(Record(cpu_name(), entries)))
    fresh.replace(path)
    return path


def _path(bundle: Path) -> Path:
    return cache_folder() / _FOLDER / f"{_digest(bundle)}-{_host()}.json"


def _digest(bundle: Path) -> str:
    return hashlib.sha256((bundle / MANIFEST).read_bytes()).hexdigest()[:32]


def _host() -> str:
    versions = [f"{package}={installed(package)}" for package in _RUNTIMES]
    told = ";".join([cpu_name(), str(cores()), *sorted(cpu_flags()), *versions])
    return hashlib.sha256(told.encode()).hexdigest()[:16]
