"""Makes one target: tries its routes until one is proven right."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from torchship.bundle.artifact import Artifact, Attempt, Row, Variant, Verdict
from torchship.convert.diagnosis import NO_WAY
from torchship.errors import ConversionError, StorageError, TorchshipError, UnavailableError, WorkerError
from torchship.models.source import Source
from torchship.pipeline.accuracy import Scorer
from torchship.pipeline.departure import told_with_layer
from torchship.pipeline.evidence import Evidence
from torchship.pipeline.failures import Failures
from torchship.pipeline.plan import ONNX, Plan, onnx_plan
from torchship.pipeline.proof import RefutedError, prove
from torchship.pipeline.workshop import Workshop
from torchship.targets import builder_of, runner_of
from torchship.targets.builder import Form, Route
from torchship.worker.protocol import Convert, Converted, Handover

_TRACE = "trace"  # the route by Form.TRACED, in every target
_TORCH = "torch/"  # a line of torch's own
_OPERATOR = 0.5  # what the operator's name is worth beside the user's line and a way out


_PLAIN = Variant()


@dataclass(frozen=True)
class Made:
    """An artifact that is right, and where its files lie."""

    artifact: Artifact
    verdict: Verdict
    folder: Path
    convert_seconds: float

    @property
    def size_bytes(self) -> int:
        """All its files, on disk."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


@dataclass(frozen=True)
class Outcome:
    """What became of one target: its row, and the artifact where it is right."""

    row: Row
    made: Made | None = None


class Kept(msgspec.Struct, frozen=True):
    """An Outcome as it is stored: the artifact's folder is relative to the store's."""

    row: Row
    artifact: Artifact | None = None
    verdict: Verdict | None = None
    folder: str = ""
    convert_seconds: float = 0.0

    @staticmethod
    def of(outcome: Outcome, store: Path) -> Kept:
        """Make a record of an outcome."""
        made = outcome.made
        if made is None:
            return Kept(outcome.row)
        folder = made.folder.relative_to(store).as_posix()
        return Kept(outcome.row, made.artifact, made.verdict, folder, made.convert_seconds)

    def outcome(self, store: Path) -> Outcome:
        """Make an outcome of a record."""
        if self.artifact is None or self.verdict is None:
            return Outcome(self.row)
        return Outcome(self.row, Made(self.artifact, self.verdict, store / self.folder, self.convert_seconds))


class Maker:
    """Makes targets from one source, each held against the same evidence."""

    def __init__(
        self, workshop: Workshop, source: Source | Handover, evidence: Evidence, scorer: Scorer,
        variant: Variant = _PLAIN,
    ) -> None:  # fmt: skip
        self.variant = variant
        self.evidence = evidence
        self._store = evidence.store
        self._workshop = workshop
        self.source = source
        self.scorer = scorer
        self.failures = Failures(workshop, source if isinstance(source, Source) else None, evidence)
        self._outcomes: dict[str, Outcome] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def make(self, plan: Plan) -> Outcome:
        """Try the routes in turn; never raises what a converter or a runtime raised: that is the row."""
        try:
            builder_of(plan.target).needs.check(f"the target {plan.target}")
            runner_of(plan.target).needs.check(f"the target {plan.target}")
        except UnavailableError as error:
            return Outcome(Row(self._name(plan.target), plan.target, "unavailable", reason=error.what, hint=error.hint))
        record = self._record(plan)
        with self._locks[record]:  # one that another target starts from may be asked for twice at once
            if record not in self._outcomes:
                self._outcomes[record] = self._make(plan, record)
            return self._outcomes[record]

    def _name(self, target: str) -> str:
        """Of the artifact: the target's own where nothing was done to the model."""
        return target if self.variant == _PLAIN else f"{target}-{self.variant.label}"

    def _record(self, plan: Plan) -> str:
        """Of the outcome, as it is stored."""
        done = () if self.variant == _PLAIN else (self.variant.key,)
        return "outcome-" + "-".join((plan.target, *(route.name for route in plan.routes), *done))

    def _make(self, plan: Plan, record: str) -> Outcome:
        if (kept := self._store.get(record, Kept)) is not None:
            self._workshop.tell(self._name(plan.target), "done before")
            return kept.outcome(self._store.folder)
        outcome, lasting = self._try_routes(plan)
        if lasting:
            self._store.put(record, Kept.of(outcome, self._store.folder))
        return outcome

    def _try_routes(self, plan: Plan) -> tuple[Outcome, bool]:
        """Give the outcome, and whether it would be the same another time: a crash or a time-out might not."""
        failed: list[tuple[Route, TorchshipError]] = []
        lasting = True
        routes = [route for route in plan.routes if self._leads(plan.target, route.form)]
        if not routes:
            return Outcome(self._closed(plan)), lasting
        for route in routes:
            try:
                made = self._by_route(plan.target, route)
            except TorchshipError as error:
                lasting = lasting and not isinstance(error, (WorkerError, StorageError, UnavailableError))
                failed.append((route, error))
                self._workshop.tell(plan.target, f"{route.name}: {error.what}")
                continue
            attempts = tuple(_attempt(route.name, error) for route, error in failed)
            row = Row(made.artifact.name, plan.target, "ok", made.artifact.variant.label, route.name, attempts=attempts)
            return Outcome(row, made), lasting
        return Outcome(self._told(plan.target, failed)), lasting

    def _told(self, target: str, failed: Sequence[tuple[Route, TorchshipError]]) -> Row:
        """The row of a target of which no route came out right; of the best that was wrong, the layer is told."""
        attempts, looked = [], False
        for route, error in failed:
            told = error
            if isinstance(error, RefutedError) and error.ran and not looked and isinstance(self.source, Source):
                looked = True
                onnx = str(self._onnx_file) if self._onnx_file else None
                told = told_with_layer(self._workshop, self.source, self.evidence, route, error, onnx)
            self.failures.add(target, route, told, self._onnx_file)
            attempts.append(_attempt(route.name, told))
        return failed_row(target, attempts)

    def _leads(self, target: str, form: Form) -> bool:
        """Whether the source can be had in ``form``; as ONNX it can, by that target, unless the target is that one."""
        reference = self.evidence.reference
        if form is Form.ONNX:
            return target != ONNX or form.value in reference.native
        return form.value not in reference.closed

    def _closed(self, plan: Plan) -> Row:
        """The row of a target that nothing leads to from such a source."""
        told = dict.fromkeys(filter(None, (self.evidence.reference.closed.get(route.form) for route in plan.routes)))
        return Row(
            plan.target, plan.target, "failed",
            reason=f"from this source there is no route to {plan.target}: {'; '.join(told)}",
            hint="ship the module that it was made from, as file.py:NAME",
        )  # fmt: skip

    def _by_route(self, target: str, route: Route) -> Made:
        if route.form is Form.TRACED and (unproven := self.evidence.reference.unproven):
            name, why = next(iter(unproven.items()))
            raise ConversionError(
                f"a trace may bake in the size {name}, and no other one could be tried: the model refuses each input "
                f"that was drawn at another size ({why})",
                hint="give inputs of other sizes that it takes: 'fresh' in the source dict",
            )
        done = () if self.variant == _PLAIN else (self.variant.key,)  # what was pruned otherwise stays as it is stored
        folder = self._store.fresh_folder("artifacts", "-".join((target, *done, route.name)))
        self._workshop.tell(target, f"converting ({route.name})")
        reference = self.evidence.reference
        job = Convert(
            self.source, reference.signature, reference.origin.weights_sha256, target, route.name, str(folder),
            self.variant,
            onnx=self._onnx() if route.form is Form.ONNX and target != ONNX else None,
        )  # fmt: skip
        with self._workshop.worker(f"convert-{target}-{route.name}") as worker:
            converted = worker.ask(job, Converted, self._workshop.timeout)
        self._workshop.tell(target, "proving")
        named = msgspec.structs.replace(converted.artifact, name=self._name(target))
        artifact, verdict = self._proven(named, folder)
        return Made(artifact, verdict, folder, converted.seconds)

    def _proven(self, artifact: Artifact, folder: Path) -> tuple[Artifact, Verdict]:
        """Prove the artifact as its builder wants it opened; where that isn't right, as it is opened more plainly."""
        try:
            return artifact, prove(self._workshop, artifact, folder, self.evidence, self.scorer)
        except (ConversionError, WorkerError):
            plainer = builder_of(artifact.target).plainer(artifact)
            if plainer is None:
                raise
            self._workshop.tell(artifact.target, "proving it without its runtime's optimisations")
            return plainer, prove(self._workshop, plainer, folder, self.evidence, self.scorer)

    @property
    def _onnx_file(self) -> Path | None:
        """The ONNX that other targets start from, where it was made."""
        record = self._outcomes.get(self._record(onnx_plan()))
        return record.made.folder / record.made.artifact.main if record and record.made else None

    def _onnx(self) -> str:
        """The model as ONNX that was proven right; it is made where nobody asked for it, and made once."""
        outcome = self.make(onnx_plan())
        if outcome.made is None:
            row = outcome.row
            raise ConversionError(
                f"there is no right ONNX to start from: {row.reason}", where=row.where, hint=row.hint, op=row.op
            )
        return str(outcome.made.folder / outcome.made.artifact.main)


def _attempt(route: str, error: TorchshipError) -> Attempt:
    return Attempt(route, error.what, error.op, error.where, error.hint)


def failed_row(target: str, attempts: Sequence[Attempt]) -> Row:
    """One row of all that was tried: the first of those that know most speaks; an operator it may have from another."""
    most = max(map(_knowledge, attempts))
    speaks = next(each for each in attempts if _knowledge(each) >= most - _OPERATOR)
    op = speaks.op or next((each.op for each in attempts if each.op and each.where == speaks.where), None)
    return Row(
        target, target, "failed", route=speaks.route, reason=speaks.reason, op=op, where=speaks.where,
        hint=speaks.hint, attempts=tuple(each for each in attempts if each is not speaks),
    )  # fmt: skip


def _knowledge(attempt: Attempt) -> float:
    """How much an attempt tells the user: their own line, what to do, the operator.

    Where a trace fails says less: it was but the last resort of what went before.
    """
    line = attempt.where is not None and not attempt.where.startswith(_TORCH)
    way = attempt.hint is not None and not attempt.hint.startswith(NO_WAY)
    return line + way + _OPERATOR * (attempt.op is not None) - 1.5 * (attempt.route == _TRACE)
