"""Packs what was proven into a bundle: whole, or not at all."""

from __future__ import annotations

import datetime as dt
import platform
import shutil
from collections.abc import Sequence

import msgspec

from torchship import __version__
from torchship.bundle.manifest import SCHEMA, Manifest, Measurements, Shipped, Timing
from torchship.bundle.publish import Staging
from torchship.measure.choose import Choice
from torchship.measure.cores import cores
from torchship.pipeline.attempt import Made, Outcome
from torchship.pipeline.evidence import Evidence


def pack(
    staging: Staging,
    evidence: Evidence,
    outcomes: Sequence[Outcome],
    timings: Sequence[Timing],
    choice: Choice,
    preference: str,
) -> tuple[Manifest, Measurements]:
    """Fill ``staging`` and commit it."""
    reference = evidence.reference
    made = {each.made.artifact.name: each.made for each in outcomes if each.made is not None}
    measurements = Measurements(_now(), host_facts(), (_eager(evidence), *timings))
    for name in choice.order:
        shutil.copytree(made[name].folder, staging.artifact_folder(name), dirs_exist_ok=True)
    golden = tuple(staging.add_golden(reference.signature, evidence.golden(files)) for files in evidence.golden_samples)
    manifest = Manifest(
        schema=SCHEMA,
        name=staging.destination.stem,
        signature=reference.signature,
        chosen=choice.order[0],
        shipped=tuple(
            _shipped(made[name], measurements, fits=place < choice.fitting) for place, name in enumerate(choice.order)
        ),
        rows=tuple(outcome.row for outcome in outcomes),
        origin=msgspec.structs.replace(
            reference.origin, versions=reference.origin.versions | {"torchship": __version__}
        ),
        files=(),
        golden=golden,
        labels=reference.labels,
        evaluation=reference.evaluation,
        why=choice.why,
        preference=preference,
        front=choice.front,
    )
    return staging.commit(manifest, measurements), measurements


def host_facts() -> dict[str, str | int]:
    """Where the timings come from."""
    return {
        "system": platform.system(), "machine": platform.machine(), "python": platform.python_version(),
        "cores": cores(),
    }  # fmt: skip


def _shipped(made: Made, measurements: Measurements, *, fits: bool) -> Shipped:
    """With the settings that were quickest here."""
    best = measurements.best(made.artifact.name)
    settings = best.settings if best is not None else made.artifact.settings
    return Shipped(msgspec.structs.replace(made.artifact, settings=settings), made.verdict, made.size_bytes, fits=fits)


def _eager(evidence: Evidence) -> Timing:
    signature, sample = evidence.reference.signature, evidence.reference.samples[0]
    return Timing("eager", evidence.reference.latency, sample.sizes.get(signature.batch or "", 0))


def _now() -> str:
    return dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
