"""The manifest: everything that a bundle says of itself, but for times and measurements, which stand apart."""

from __future__ import annotations

from typing import Literal

import msgspec

from torchship.bundle.artifact import Artifact, Row, Settings, Verdict
from torchship.signature import Signature

SCHEMA = 1
CHUNK = 16 << 20  # bytes that a hash covers
READABLE_BY = "0.1.0"  # the first torchship that reads this schema
MANIFEST = "manifest.json"
MEASUREMENTS = "measurements.json"
SIGNATURE = "bundle.sig"
GOLDEN = "golden"
ARTIFACTS = "artifacts"


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of the bundle: POSIX path below the bundle, size in bytes, SHA-256 of each 16 MiB chunk in hex."""

    path: str
    size: int
    chunks: tuple[str, ...]


class Shipped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An artifact that was loaded, run and found right (or is ``unverified``), with what was found.

    ``fits``: whether it met the constraints that it was shipped under.
    """

    artifact: Artifact
    verdict: Verdict
    size_bytes: int
    status: Literal["ok", "unverified"] = "ok"
    fits: bool = True


class Origin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the bundle was made from and with. ``source``: the source's own name, no path."""

    source: str
    model: str
    parameters: int
    weights_sha256: str
    versions: dict[str, str] = {}


class Evaluation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What labelled data said of the eager model: the share of right answers, and ``confusion[truth][answer]``."""

    samples: int
    accuracy: float
    confusion: tuple[tuple[int, ...], ...] = ()


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a bundle is. ``shipped`` is ordered best first: what ``load`` tries one after the other.

    ``preference``: what came first in the choice: ``latency``, ``throughput``, ``size`` or ``accuracy``.
    ``front``: names of the artifacts that no other beats in all of what was measured (the Pareto front).
    ``golden``: paths of the golden samples below the bundle. ``readable_by``: the first torchship that reads it.
    """

    schema: int
    name: str
    signature: Signature
    chosen: str
    shipped: tuple[Shipped, ...]
    rows: tuple[Row, ...]
    origin: Origin
    files: tuple[FileEntry, ...]
    golden: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    evaluation: Evaluation | None = None
    why: str = ""
    preference: str = "latency"
    front: tuple[str, ...] = ()
    readable_by: str = READABLE_BY

    def find(self, name: str) -> Shipped | None:
        """Give the shipped artifact called ``name``."""
        return next((one for one in self.shipped if one.artifact.name == name), None)


class Latency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Milliseconds a call, at quantiles."""

    p50: float
    p99: float


class Timing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was measured of one artifact (or of ``eager``) on one host, at one batch size and one setting.

    ``rounds``: the median of each round of the race with the other artifacts, in milliseconds; from them the noise can
    be told.
    """

    name: str
    latency_ms: Latency
    batch: int
    settings: Settings = Settings()
    convert_seconds: float = 0.0
    open_seconds: float = 0.0
    peak_mb: float = 0.0
    rounds: tuple[float, ...] = ()


class Measurements(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Timings and dates: they differ from run to run.

    ``created``: ISO 8601, UTC. ``manifest``: the digest of the manifest that they belong to, filled in on writing.
    """

    created: str
    host: dict[str, str | int]
    timings: tuple[Timing, ...]
    manifest: str = ""

    def best(self, name: str, batch: int | None = None) -> Timing | None:
        """Give the quickest timing of ``name`` (at ``batch``, or at the smallest batch measured).

        What was raced side by side with the others goes before what was not.
        """
        mine = [timing for timing in self.timings if timing.name == name]
        size = batch if batch is not None else min((timing.batch for timing in mine), default=0)
        final = [timing for timing in mine if timing.batch == size]
        final = [timing for timing in final if timing.rounds] or final
        return min(final, key=lambda t: t.latency_ms.p50, default=None)
