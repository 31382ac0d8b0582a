"""Makes variants of reduced precision of what is right in float: each judged by what it loses, and by how much."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torchship.bundle.artifact import Artifact, Row, Variant, Verdict
from torchship.errors import ConversionError, StorageError, TorchshipError, UnavailableError, WorkerError
from torchship.pipeline.accuracy import drop, loss_told
from torchship.pipeline.attempt import Kept, Made, Maker, Outcome
from torchship.pipeline.judging import LOOSER, judged
from torchship.pipeline.options import ShipOptions
from torchship.pipeline.workers import side_by_side
from torchship.pipeline.workshop import Workshop
from torchship.targets.passes import Layered, gaining, pass_names, pass_of
from torchship.worker.protocol import Converted, Derive, Rank, Ranked

AUTO = "auto"
_STATIC = "int8"  # what needs calibration data,
_DYNAMIC = "int8-dynamic"  # and what is tried without
_RANKING = 120.0  # seconds for finding the sensitive layers


@dataclass(frozen=True)
class _Made:
    """A variant with what it loses."""

    artifact: Artifact
    verdict: Verdict
    folder: Path
    seconds: float
    lost: float


class Reducer:
    """Makes what ``options.quantize`` asks for, of each target that has a pass for it."""

    def __init__(self, workshop: Workshop, maker: Maker, options: ShipOptions) -> None:
        self._workshop = workshop
        self._maker = maker
        self._evidence = maker.evidence
        self._names = options.quantize
        self._jobs = options.jobs
        self._most = options.constraints.max_drop

    def make_all(self, made: Sequence[Made]) -> list[Outcome]:
        """One outcome for each artifact and pass, in their order."""
        wanted = [(each, name) for each in made for name in self._wanted(each.artifact.target)]
        return side_by_side(lambda pair: self._make(*pair), wanted, self._jobs)

    def _wanted(self, target: str) -> Iterator[str]:
        skipped = _DYNAMIC if self._evidence.reference.calibration else _STATIC
        tried = [name for name in gaining(target) if name != skipped] if AUTO in self._names else []
        yield from (name for name in pass_names(target) if name in self._names or name in tried)

    def _make(self, made: Made, name: str) -> Outcome:
        """Never raises what a pass or a runtime raised: that is the row."""
        target = made.artifact.target
        variant = Variant(name, made.artifact.variant.passes)
        label = f"{target}-{variant.label}"
        store = self._evidence.store
        record = f"outcome-{self._stored(made, name)}"
        if (kept := store.get(record, Kept)) is not None:
            self._workshop.tell(label, "done before")
            return kept.outcome(store.folder)
        try:
            pass_of(target, name).needs.check(f"the variant {label}")
            found = self._fitting(made, name)
        except UnavailableError as error:
            return Outcome(Row(label, target, "unavailable", variant.label, reason=error.what, hint=error.hint))
        except TorchshipError as error:
            self._workshop.tell(label, error.what)
            told = (error.what, error.op, error.where, error.hint)
            outcome = Outcome(Row(label, target, "failed", variant.label, made.artifact.route, *told))
            if not isinstance(error, (WorkerError, StorageError)):
                store.put(record, Kept.of(outcome, store.folder))
            return outcome
        row = Row(label, target, "ok", variant.label, made.artifact.route)
        outcome = Outcome(row, Made(found.artifact, found.verdict, found.folder, found.seconds))
        store.put(record, Kept.of(outcome, store.folder))
        return outcome

    def _fitting(self, made: Made, name: str) -> _Made:
        """The variant that loses no more than is allowed, with as few layers left in float as will do.

        Raises:
            ConversionError: none does, or there is nothing to quantise.
        """
        whole = self._try(made, name, ())
        if whole.lost <= self._most:
            return whole
        told = loss_told(whole.lost, self._most, self._evidence)
        if not isinstance(pass_of(made.artifact.target, name), Layered):
            raise ConversionError(f"made, but it {told}", hint=LOOSER)
        self._workshop.tell(f"{made.artifact.name}-{name}", f"{told}: looking for the sensitive layers")
        layers = self._ranked(made, name)
        found = self._search(made, name, layers)
        if found is None:
            raise ConversionError(
                f"made, but it {told}; nor does it fit with the most sensitive of its {len(layers)} layers in float",
                hint=LOOSER,
            )
        return found

    def _search(self, made: Made, name: str, layers: Sequence[str]) -> _Made | None:
        """Keep 1, 2, 4 … of the most sensitive layers until it fits; then as few between as still fit."""
        count, below, found = 1, 0, None
        while found is None and count < len(layers):
            tried = self._try(made, name, layers[:count])
            if tried.lost <= self._most:
                found = tried
            else:
                below, count = count, 2 * count
        while found is not None and count - below > 1:
            between = (below + count) // 2
            tried = self._try(made, name, layers[:between])
            if tried.lost <= self._most:
                found, count = tried, between
            else:
                below = between
        return found

    def _stored(self, made: Made, name: str) -> str:
        """What names it in the store: what it is made of and how, and the loss that decides which layers stay."""
        source = made.artifact
        return f"{source.target}-{name}-of-{source.variant.key}-{source.route}-{self._most:g}"

    def _job(self, made: Made) -> tuple[Artifact, str, str | None]:
        calibration = self._evidence.reference.calibration
        return made.artifact, str(made.folder), str(self._evidence.path(calibration)) if calibration else None

    def _ranked(self, made: Made, name: str) -> tuple[str, ...]:
        artifact, folder, calibration = self._job(made)
        with self._workshop.worker(f"rank-{artifact.target}-{name}") as worker:
            return worker.ask(
                Rank(artifact, folder, name, calibration, _RANKING), Ranked, self._workshop.timeout
            ).layers

    def _try(self, made: Made, name: str, kept: Sequence[str]) -> _Made:
        artifact, folder, calibration = self._job(made)
        variant = Variant(name, artifact.variant.passes)
        label = f"{artifact.target}-{variant.label}"
        out = self._evidence.store.fresh_folder("artifacts", f"{self._stored(made, name)}-{len(kept)}")
        self._workshop.tell(label, "making" + (f" it with {len(kept)} layers in float" if kept else ""))
        job = Derive(artifact, folder, name, variant, str(out), calibration, tuple(kept))
        with self._workshop.worker(f"derive-{label}") as worker:
            done = worker.ask(job, Converted, self._workshop.timeout)
        self._workshop.tell(label, "judging")
        verdict = judged(self._workshop, done.artifact, out, self._evidence, self._maker.scorer)
        return _Made(done.artifact, verdict, out, done.seconds, drop(verdict, self._evidence))
