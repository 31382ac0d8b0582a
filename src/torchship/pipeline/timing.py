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
from torchship.worker.process import Worker
from torchship.worker.protocol import Open, Opened, Time, Timed

THROUGHPUT_BATCH = 32  # rows a call, where throughput is asked for and the model takes so many
_SECONDS = 0.1  # of a turn
_FIRST_ROUNDS = 3  # of one artifact's settings against each other
_ROUNDS = 6
_MEMORY = 2.0  # bytes of memory for a byte of artifact
_PROCESS_MB = 300.0


class _Running:
    """An artifact with settings to try, opened in a worker of its own."""

    def __init__(self, made: Made, settings: Settings, worker: Worker, opened: Opened) -> None:
        self.made = made
        self.settings = settings
        self.worker = worker
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
        for place, entrant in enumerate(ranked):
            if together and place == 0:
                finalists.append(Entrant(entrant.what, entrant.turn))
                continue
            timings.append(_timing(entrant, batch, raced=False))
            entrant.what.worker.close()
    if finalists:
        workshop.tell("bundle", "timing the artifacts side by side")
        timings += [_timing(each, batch, raced=True) for each in contest(finalists, seconds=_SECONDS, rounds=_ROUNDS)]
        for finalist in finalists:
            finalist.what.worker.close()
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
    """One for each position of what weighs most: the threads."""
    artifact = made.artifact
    knobs = runner_of(artifact.target).knobs(artifact, cores())[:1]
    settings = [turned(artifact.settings, position) for knob in knobs for position in knob.positions]
    workshop.tell(artifact.name, "timing")
    workers = [workshop.worker(f"time-{artifact.name}") for _ in settings]  # they import at the same time
    found = []
    for worker, each in zip(workers, settings, strict=True):
        running = _enter(workshop, worker, made, each, evidence)
        if running is not None:
            found.append(Entrant(running, _Turn(running.worker, inputs, workshop.timeout)))
    return found


class _Turn:
    """Has a worker call its artifact for some seconds; gives milliseconds a call."""

    def __init__(self, worker: Worker, inputs: Path, timeout: float) -> None:
        self._worker = worker
        self._inputs = inputs
        self._timeout = timeout

    def __call__(self, seconds: float) -> Sequence[float]:
        return self._worker.ask(Time(str(self._inputs), seconds), Timed, self._timeout).milliseconds


def _enter(workshop: Workshop, worker: Worker, made: Made, settings: Settings, evidence: Evidence) -> _Running | None:
    try:
        opened = worker.ask(
            Open(made.artifact, evidence.reference.signature, str(made.folder), settings), Opened, workshop.timeout
        )
    except TorchshipError as error:
        workshop.tell(made.artifact.name, f"left out with {settings.threads} threads: {error.what}")
        worker.close()
        return None
    return _Running(made, settings, worker, opened)


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
