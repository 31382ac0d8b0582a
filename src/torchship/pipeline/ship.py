"""From a source to a bundle. Nothing here imports torch: the parent compares arrays and decides."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from torchship.bundle.artifact import Row
from torchship.bundle.manifest import Measurements, Timing
from torchship.bundle.publish import Staging
from torchship.errors import ConstraintError, SourceError
from torchship.measure.choose import Candidate, Preference, choose
from torchship.models.reference import Reference
from torchship.models.source import Source
from torchship.pipeline.accuracy import FileScorer, drop
from torchship.pipeline.attempt import Made, Maker, Outcome
from torchship.pipeline.evidence import FOLDER, Evidence
from torchship.pipeline.key import file_sha256, work_key
from torchship.pipeline.offering import offering
from torchship.pipeline.options import ShipOptions
from torchship.pipeline.pack import pack
from torchship.pipeline.plan import Plan, plan
from torchship.pipeline.prune import Pruner, object_or_file
from torchship.pipeline.reduce import Reducer
from torchship.pipeline.result import ShipResult, row_result, ship_result
from torchship.pipeline.store import Store, stored
from torchship.pipeline.timing import THROUGHPUT_BATCH, time_all
from torchship.pipeline.workers import side_by_side
from torchship.pipeline.workshop import Tell, Workshop, silent
from torchship.worker.protocol import Observe, Observed


def ship_source(source: Source, options: ShipOptions, tell: Tell = silent) -> ShipResult:
    """Ship ``source`` as ``options`` ask; ``tell`` hears of each step.

    Raises:
        SourceError: the model can't be opened or run, or is no function of its inputs.
        ConstraintError: no target could be made, or none meets the constraints; nothing was written.
        StorageError: the bundle can't be written; what was there before is still there.
    """
    plans = plan(options.targets)
    with (
        Staging(options.output) as staging,
        Workshop(tell, options.timeout) as workshop,
        stored(work_key(source, options), workshop.root) as store,
    ):
        with refusing_all(plans):
            evidence = observe(workshop, store, source, options)
        scorer = FileScorer(source, evidence, options.evaluate, options.timeout)
        return finish(workshop, staging, Maker(workshop, source, evidence, scorer), plans, options)


def finish(
    workshop: Workshop,
    staging: Staging,
    maker: Maker,
    plans: Sequence[Plan],
    options: ShipOptions,
) -> ShipResult:
    """From the evidence on: convert, prove, time, choose, pack."""
    evidence = maker.evidence
    outcomes = offering(make_all(maker, plans, options.jobs))
    if options.prune is not None and isinstance(maker.source, Source):
        outcomes += Pruner(workshop, maker.source, maker, options).make_all(plans, options.prune)
    outcomes += Reducer(workshop, maker, options).make_all([each.made for each in outcomes if each.made is not None])
    scripts = maker.failures.publish(options.output, [outcome.row for outcome in outcomes])
    made = [outcome.made for outcome in outcomes if outcome.made is not None]
    if not made:
        error = ConstraintError("no target could be made", where=_told(outcomes), hint=_see(scripts))
        error.artifacts = [row_result(outcome.row, scripts) for outcome in outcomes]
        raise error
    timings = _timings(workshop, made, evidence, options.constraints.prefer)
    choice = choose([_candidate(each, timings, evidence) for each in made], options.constraints)
    workshop.tell("bundle", "packing")
    manifest, measurements = pack(staging, evidence, outcomes, timings, choice, options.constraints.prefer.value)
    return ship_result(str(options.output), manifest, measurements, evidence.reference.notes, scripts)


def _see(scripts: Mapping[str, str]) -> str:
    """Where the scripts lie, in one folder each below the same one."""
    folders = {str(Path(path).parent.parent) for path in scripts.values()}
    return (
        f"see what each row says; {folders.pop()} holds scripts that show it, and the logs"
        if folders
        else ("see what each row says")
    )


class _Timings(msgspec.Struct, frozen=True):
    timings: tuple[Timing, ...]


def _timings(workshop: Workshop, made: Sequence[Made], evidence: Evidence, prefer: Preference) -> tuple[Timing, ...]:
    """Time them side by side, unless these very ones were timed before; one more, and all are timed anew."""
    many = THROUGHPUT_BATCH if prefer is Preference.THROUGHPUT else 1
    told = " ".join(f"{each.artifact.name}.{each.artifact.route}" for each in made)
    record = f"timings-{many}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    kept = evidence.store.get(record, _Timings)
    if kept is None:
        kept = _Timings(time_all(workshop, made, evidence, many))
        evidence.store.put(record, kept)
    return kept.timings


def _candidate(made: Made, timings: Sequence[Timing], evidence: Evidence) -> Candidate:
    best = Measurements("", {}, tuple(timings)).best(made.artifact.name)
    assert best is not None
    return Candidate(
        made.artifact.name, best.latency_ms.p50, made.size_bytes, drop(made.verdict, evidence),
        max(best.batch, 1) / best.latency_ms.p50 * 1e3, best.peak_mb, best.rounds,
    )  # fmt: skip


@contextmanager
def refusing_all(plans: Sequence[Plan]) -> Iterator[None]:
    """What is wrong with the model itself is what is wrong with each target of it."""
    try:
        yield
    except SourceError as error:
        rows = [
            Row(each.target, each.target, "failed", reason=error.what, op=error.op, where=error.where, hint=error.hint)
            for each in plans
        ]
        error.artifacts = [row_result(row, {}) for row in rows]
        raise


class Observation(msgspec.Struct, frozen=True):
    """A reference as it is stored: ``files`` are what the user's code read, with their hashes.

    ``losing``: it was made sure which way the user's evaluation is up.
    """

    reference: Reference
    files: dict[str, str]
    losing: bool = False

    def serves(self, *, losing: bool) -> bool:
        """Whether nothing that was read has changed, and all is known that is to be."""
        if losing and self.reference.judged and not self.losing:
            return False
        return all(file_sha256(Path(path)) == digest for path, digest in self.files.items())


def observe(workshop: Workshop, store: Store, source: Source, options: ShipOptions) -> Evidence:
    """Have the model opened and run as it is, unless that was done before and nothing that it read has changed."""
    kept = store.get("observation", Observation)
    losing = bool(options.quantize or options.prune)
    if kept is None or not kept.serves(losing=losing):
        store.clear()
        observed = _observe(workshop, str(store.fresh_folder(FOLDER)), source, options)
        kept = Observation(observed.reference, {path: file_sha256(Path(path)) for path in observed.files}, losing)
        store.put("observation", kept)
    for note in kept.reference.notes:
        workshop.tell("note", note)
    return Evidence(kept.reference, store)


def _observe(workshop: Workshop, folder: str, source: Source, options: ShipOptions) -> Observed:
    workshop.tell("model", "opening and running it")
    job = Observe(
        source,
        Path(source.text.partition(":")[0]).name,
        folder,
        *object_or_file(options.evaluate),
        *object_or_file(options.calibration),
        losing=bool(options.quantize or options.prune),
    )
    with workshop.worker("observe") as worker:
        return worker.ask(job, Observed, workshop.timeout)


def make_all(maker: Maker, plans: Sequence[Plan], jobs: int) -> list[Outcome]:
    """Make the targets, ``jobs`` at once; the outcomes come in the plans' order."""
    return side_by_side(maker.make, plans, jobs)


def _told(outcomes: Sequence[Outcome]) -> str:
    return "\n      ".join(f"{each.row.name}: {each.row.reason}" for each in outcomes)
