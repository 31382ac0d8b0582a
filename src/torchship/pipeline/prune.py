"""Makes targets of the model with weights taken away: each true to the pruned model, and judged by what that loses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from torchship.bundle.artifact import Row, Variant
from torchship.errors import TorchshipError
from torchship.models.reference import Reference
from torchship.models.source import PythonObject, Source
from torchship.pipeline.accuracy import FileScorer, drop, loss_told
from torchship.pipeline.attempt import Made, Maker, Outcome
from torchship.pipeline.evidence import Evidence
from torchship.pipeline.judging import judged
from torchship.pipeline.options import PruneSpec, ShipOptions
from torchship.pipeline.plan import Plan, forms_of
from torchship.pipeline.workers import side_by_side
from torchship.pipeline.workshop import Workshop
from torchship.worker.protocol import Handover, Prune, Pruned

PRUNED = "pruned"


class _Done(msgspec.Struct, frozen=True):
    """A pruned model as it is stored; its reference and its forms lie in folders of the store's."""

    reference: Reference
    told: str


class Pruner:
    """Prunes ``source``, of which ``maker`` makes the whole model's targets, and makes of it what plans ask for."""

    def __init__(self, workshop: Workshop, source: Source, maker: Maker, options: ShipOptions) -> None:
        self._workshop = workshop
        self._source = source
        self._whole = maker.scorer
        self._evidence = maker.evidence
        self._options = options

    def make_all(self, plans: Sequence[Plan], spec: PruneSpec) -> list[Outcome]:
        """One outcome for each plan; where the model can't be pruned, each says so."""
        try:
            done = self._pruned(plans, spec)
        except TorchshipError as error:
            self._workshop.tell(PRUNED, error.what)
            return [Outcome(_failed(each.target, error)) for each in plans]
        self._workshop.tell(PRUNED, done.told)
        evidence = Evidence(done.reference, self._evidence.store, _folder("reference", plans, spec))
        scorer = FileScorer(self._source, evidence, self._options.evaluate, self._options.timeout)
        forms = self._evidence.store.folder / _folder("forms", plans, spec)
        variant = Variant(passes=(PRUNED,), how=done.told)
        maker = Maker(self._workshop, Handover(str(forms)), evidence, scorer, variant)
        return side_by_side(lambda each: self._held(maker.make(each)), plans, self._options.jobs)

    def _held(self, outcome: Outcome) -> Outcome:
        """Held against the whole model: the verdict is what it lost of that. What goes wrong in it is the row."""
        made = outcome.made
        if made is None:
            return outcome
        try:
            verdict = judged(self._workshop, made.artifact, made.folder, self._evidence, self._whole)
        except TorchshipError as error:
            return Outcome(_failed(made.artifact.target, error))
        verdict = msgspec.structs.replace(verdict, noise_ratio=made.verdict.noise_ratio)
        lost, most = drop(verdict, self._evidence), self._options.constraints.max_drop
        if lost <= most:
            return Outcome(outcome.row, Made(made.artifact, verdict, made.folder, made.convert_seconds))
        told = loss_told(lost, most, self._evidence)
        row = msgspec.structs.replace(
            outcome.row,
            status="failed",
            reason=f"made, but it {told} ({made.artifact.variant.how})",
            hint="take less away, train on (--train-data), or allow more with --max-drop",
        )
        return Outcome(row)

    def _pruned(self, plans: Sequence[Plan], spec: PruneSpec) -> _Done:
        store, options = self._evidence.store, self._options
        record = _folder(PRUNED, plans, spec)
        if (kept := store.get(record, _Done)) is not None:
            return kept
        self._workshop.tell(PRUNED, f"pruning ({spec.method}, {spec.share:.0%})")
        reference, written = (str(store.fresh_folder(_folder(kind, plans, spec))) for kind in ("reference", "forms"))
        job = Prune(
            self._source, self._evidence.reference.origin.source, reference, spec.method, spec.share, _forms(plans),
            written, *object_or_file(options.evaluate), *object_or_file(options.calibration),
            *object_or_file(options.train),
        )  # fmt: skip
        with self._workshop.worker(PRUNED) as worker:
            pruned = worker.ask(job, Pruned, self._workshop.timeout)
        done = _Done(pruned.reference, pruned.told)
        store.put(record, done)
        return done


def _failed(target: str, error: TorchshipError) -> Row:
    return Row(
        f"{target}-{PRUNED}", target, "failed", PRUNED,
        reason=error.what, op=error.op, where=error.where, hint=error.hint,
    )  # fmt: skip


def _forms(plans: Sequence[Plan]) -> tuple[str, ...]:
    return tuple(form.value for form in forms_of(tuple(plans)))


def _folder(kind: str, plans: Sequence[Plan], spec: PruneSpec) -> str:
    return "-".join((kind, spec.record, *_forms(plans)))


def object_or_file(given: Path | PythonObject | None) -> tuple[PythonObject | None, str | None]:
    """What the user named, as the worker's jobs take it."""
    if isinstance(given, Path):
        return None, str(given.resolve())
    return given, None
