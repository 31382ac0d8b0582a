"""What ``ship --json`` prints, and what a person is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from torchship.bundle.artifact import Attempt, Row, Settings, Status
from torchship.bundle.manifest import Latency, Manifest, Measurements


class ReferenceResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """Eager's own figures."""

    latency_ms: Latency
    accuracy: float | None = None


class ArtifactResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row: an artifact, or why there is none. ``reproduce``: a script that shows the failure, or its log.

    ``agreement`` with eager, and ``how``, are told of variants of reduced precision.
    """

    name: str
    target: str
    status: Status
    variant: str | None = None
    route: str | None = None
    max_abs_diff: float | None = None
    noise_ratio: float | None = None
    accuracy: float | None = None
    agreement: float | None = None
    how: str = ""
    latency_ms: Latency | None = None
    size_bytes: int | None = None
    convert_seconds: float | None = None
    settings: Settings | None = None
    reason: str | None = None
    op: str | None = None
    where: str | None = None
    hint: str | None = None
    attempts: tuple[Attempt, ...] = ()
    reproduce: str | None = None


class ShipResult(msgspec.Struct, frozen=True):
    """The object of ``ship --json``. ``notes`` are what the user should know of the model, ``front`` as in Manifest."""

    bundle: str
    chosen: str
    why: str
    reference: ReferenceResult
    artifacts: tuple[ArtifactResult, ...]
    front: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def ship_result(
    bundle: str, manifest: Manifest, measurements: Measurements, notes: tuple[str, ...], scripts: Mapping[str, str]
) -> ShipResult:
    """Put manifest and measurements together, row by row; ``scripts`` are the failed ones' by their names."""
    eager = measurements.best("eager")
    assert eager is not None
    evaluation = manifest.evaluation
    return ShipResult(
        bundle,
        manifest.chosen,
        manifest.why,
        ReferenceResult(eager.latency_ms, evaluation.accuracy if evaluation else None),
        tuple(artifact_result(row, manifest, measurements, scripts) for row in manifest.rows),
        manifest.front,
        notes,
    )


def row_result(row: Row, scripts: Mapping[str, str]) -> ArtifactResult:
    """A row of which there is no artifact."""
    found: dict[str, Any] = {name: getattr(row, name) for name in row.__struct_fields__}
    return ArtifactResult(**found, reproduce=scripts.get(row.name))


def artifact_result(
    row: Row, manifest: Manifest, measurements: Measurements, scripts: Mapping[str, str]
) -> ArtifactResult:
    """One row with the figures of its artifact, where it has one."""
    shipped = manifest.find(row.name)
    if shipped is None:
        return row_result(row, scripts)
    found: dict[str, Any] = {name: getattr(row, name) for name in row.__struct_fields__}
    if shipped is not None:
        timing = measurements.best(row.name)
        found |= {
            "max_abs_diff": shipped.verdict.max_abs_diff,
            "noise_ratio": shipped.verdict.noise_ratio,
            "accuracy": shipped.verdict.accuracy,
            "agreement": shipped.verdict.agreement,
            "how": shipped.artifact.variant.how,
            "size_bytes": shipped.size_bytes,
            "settings": shipped.artifact.settings,
        }
        if timing is not None:
            found |= {"latency_ms": timing.latency_ms, "convert_seconds": round(timing.convert_seconds, 2)}
    return ArtifactResult(**found)
