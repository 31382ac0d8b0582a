"""Times artifacts: first each one's settings against each other, then the best of each side by side, turn by turn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

from torchship.bundle.artifact import Settings
from torchship.bundle.manifest import Timing
from torchship.errors import TorchshipError
from torchship.measure.contest import Entrant, contest
from torchship.measure.cores import cores
from torchship.measure.knobs import turned
from torchship.measure.latency import quantiles
from torchship.measure.memory import available_mb
from torchship.pipeline.attempt import Made
from torchship.pipeline.evidence import Evidence, read_arrays
from torchship.pipeline.workshop import Workshop
from torchship.targets import runner_of
from torchship.worker.protocol import Open, Opened, Time, Timed

THROUGHPUT_BATCH = 32  # rows a call, where throughput is asked for and the model takes so many
_SECONDS = 0.1  # of a turn
_AT_ONCE = 0.3  # seconds of opening
_FIRST_ROUNDS = 3  # of one artifact's settings against each other
_ROUNDS = 6
_MEMORY = 2.0  # bytes of memory for a byte of artifact
_PROCESS_MB = 300.0


class _Held:
    """A worker with the artifact that it holds, in the settings that it was opened with last."""

    def __init__(self, workshop: Workshop, made: Made, evidence: Evidence) -> None:
        self._workshop = workshop
        self._made = made
        self._signature = evidence.reference.signature
        self._now: Settings | None = None
        self.worker = workshop.worker(f"time-{made.artifact.name}")
        self.opened = Opened(0.0, 0.0)

    def open(self, settings: Settings) -> Opened:
        """Have it opened so, unless it is."""
        if self._now != settings:
            job = Open(self._made.artifact, self._signature, str(self._made.folder), settings)
            self.opened, self._now = self.worker.ask(job, Opened, self._workshop.timeout), settings
        return self.opened


class _Running:
    """An artifact with settings to try, and the worker that it is opened in."""

    def __init__(self, made: Made, settings: Settings, held: _Held, opened: Opened) -> None:
        self.made = made
        self.settings = settings
        self.held = held
        self.opened = opened


def time_all(workshop: Workshop, made: Sequence[Made], evidence: Evidence, rows: int = 1) -> tuple[Timing, ...]:
    """Time each artifact with one thread and with more, on ``rows`` rows where there is a batch.

    Where they don't all fit into half of the memory, each has the host to itself in turn.
    """
    inputs, batch = _inputs(workshop, evidence, rows)
    needed = sum(_MEMORY * each.size_bytes / 1e6 + _PROCESS_MB for each in made)
    together = needed < available_mb() / 2
    timings: list[Timing] = []
    finalists: list[Entrant[_Running]] = []
    for each in made:
        ranked = contest(_entrants(workshop, each, evidence, inputs), seconds=_SECONDS, rounds=_FIRST_ROUNDS)
        timings += [_timing(entrant, batch, raced=False) for entrant in ranked[1 if together else 0 :]]
        if together and ranked:
            finalists.append(Entrant(ranked[0].what, ranked[0].turn))
        for held in {entrant.what.held for entrant in ranked} - {each.what.held for each in finalists}:
            held.worker.close()
    if finalists:
        workshop.tell("bundle", "timing the artifacts side by side")
        timings += [_timing(each, batch, raced=True) for each in contest(finalists, seconds=_SECONDS, rounds=_ROUNDS)]
        for finalist in finalists:
            finalist.what.held.worker.close()
    return tuple(sorted(timings, key=lambda each: [one.artifact.name for one in made].index(each.name)))


def _timing(entrant: Entrant[_Running], batch: int, *, raced: bool) -> Timing:
    running = entrant.what
    return Timing(
        running.made.artifact.name,
        quantiles([time for each in entrant.rounds for time in each]),
        batch,
        running.settings,
        running.made.convert_seconds,
        running.opened.seconds,
        running.opened.resident_mb,
        tuple(median(each) for each in entrant.rounds) if raced else (),
    )


def _entrants(workshop: Workshop, made: Made, evidence: Evidence, inputs: Path) -> list[Entrant[_Running]]:
    """One for each position of what weighs most: the threads. What opens at once shares one worker."""
    artifact = made.artifact
    knobs = runner_of(artifact.target).knobs(artifact, cores())[:1]
    settings = [turned(artifact.settings, position) for knob in knobs for position in knob.positions]
    workshop.tell(artifact.name, "timing")
    held = _Held(workshop, made, evidence)
    found = []
    for each in settings:
        if held.opened.seconds > _AT_ONCE:
            held = _Held(workshop, made, evidence)
        try:
            opened = held.open(each)
        except TorchshipError as error:
            workshop.tell(artifact.name, f"left out with {each.threads} threads: {error.what}")
            continue
        found.append(Entrant(_Running(made, each, held, opened), _Turn(held, each, inputs, workshop.timeout)))
    return found


class _Turn:
    """Has a worker call its artifact for some seconds; gives milliseconds a call."""

    def __init__(self, held: _Held, settings: Settings, inputs: Path, timeout: float) -> None:
        self._held = held
        self._settings = settings
        self._inputs = inputs
        self._timeout = timeout

    def __call__(self, seconds: float) -> Sequence[float]:
        self._held.open(self._settings)
        return self._held.worker.ask(Time(str(self._inputs), seconds), Timed, self._timeout).milliseconds


def _inputs(workshop: Workshop, evidence: Evidence, rows: int) -> tuple[Path, int]:
    """The first usual sample, of ``rows`` rows where there is a batch; and the batch size that it has."""
    signature = evidence.reference.signature
    arrays = read_arrays(evidence.path(evidence.reference.samples[0].inputs))
    batch = signature.batch
    if batch is not None:
        dim = signature.dim(batch)
        if dim.min <= rows and (dim.max is None or rows <= dim.max):
            arrays = [np.resize(array, (rows, *array.shape[1:])) for array in arrays]
    path = workshop.folder("timing") / f"inputs{rows}.npz"
    np.savez(path, **{str(place): array for place, array in enumerate(arrays)})  # type: ignore[arg-type]
    return path, len(arrays[0]) if batch is not None else 0
