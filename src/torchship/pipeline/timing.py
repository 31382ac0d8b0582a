"""Times artifacts side by side: all stay open, and each gets its turn in every round, so that a noisy host is fair."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from torchship.bundle.artifact import Settings
from torchship.bundle.manifest import Latency, Timing
from torchship.errors import TorchshipError
from torchship.measure.cores import cores
from torchship.measure.memory import available_mb
from torchship.pipeline.attempt import Made
from torchship.pipeline.evidence import Evidence, read_arrays
from torchship.pipeline.workshop import Workshop
from torchship.worker.process import Worker
from torchship.worker.protocol import Open, Opened, Time, Timed

_ROUNDS = 5
_SECONDS = 0.12  # of one artifact's turn in a round
_LONGEST = 5.0  # seconds for one artifact's turns, after which no new round begins
_MEMORY = 2.0  # bytes of memory for a byte of artifact
_PROCESS_MB = 300.0


class _Entrant:
    """An artifact with settings to try, opened in a worker of its own."""

    def __init__(self, made: Made, settings: Settings, worker: Worker, opened: Opened) -> None:
        self.made = made
        self.settings = settings
        self.worker = worker
        self.opened = opened
        self.milliseconds: list[float] = []

    def timing(self, batch: int) -> Timing:
        return Timing(
            self.made.artifact.name,
            Latency(*(float(np.quantile(self.milliseconds, share)) for share in (0.5, 0.99))),
            batch,
            self.settings,
            self.made.convert_seconds,
            self.opened.seconds,
            self.opened.resident_mb,
        )


def time_all(workshop: Workshop, made: Sequence[Made], evidence: Evidence) -> tuple[Timing, ...]:
    """Time each artifact with one thread and with all that the host gives, on one row where there is a batch.

    Where they don't all fit into half of the memory, each has the host to itself in turn.
    """
    inputs, batch = _inputs(workshop, evidence)
    wanted = [(each, threads) for each in made for threads in sorted({1, cores()})]
    needed = sum(_MEMORY * each.size_bytes / 1e6 + _PROCESS_MB for each, _ in wanted)
    if needed < available_mb() / 2:
        return _race(workshop, wanted, evidence, inputs, batch)
    return tuple(timing for one in wanted for timing in _race(workshop, [one], evidence, inputs, batch))


def _race(
    workshop: Workshop, wanted: Sequence[tuple[Made, int]], evidence: Evidence, inputs: Path, batch: int
) -> tuple[Timing, ...]:
    """Open all, and give each its turn in every round; rounds end early where calls are slow."""
    workers = [workshop.worker(f"time-{each.artifact.name}") for each, _ in wanted]  # they import at the same time
    opened = [
        _enter(workshop, worker, each, threads, evidence)
        for worker, (each, threads) in zip(workers, wanted, strict=True)
    ]
    entrants = [entrant for entrant in opened if entrant is not None]
    end = time.monotonic() + _LONGEST * len(entrants)
    for number in range(_ROUNDS):
        if number and time.monotonic() > end:
            break
        for entrant in entrants:
            timed = entrant.worker.ask(Time(str(inputs), _SECONDS), Timed, workshop.timeout)
            entrant.milliseconds += timed.milliseconds
    for entrant in entrants:
        entrant.worker.close()
    return tuple(entrant.timing(batch) for entrant in entrants)


def _enter(workshop: Workshop, worker: Worker, made: Made, threads: int, evidence: Evidence) -> _Entrant | None:
    settings = msgspec.structs.replace(made.artifact.settings, threads=threads)
    workshop.tell(made.artifact.name, f"timing ({threads} thread{'s' if threads > 1 else ''})")
    try:
        opened = worker.ask(
            Open(made.artifact, evidence.reference.signature, str(made.folder), settings), Opened, workshop.timeout
        )
    except TorchshipError as error:
        workshop.tell(made.artifact.name, f"left out with {threads} threads: {error.what}")
        worker.close()
        return None
    return _Entrant(made, settings, worker, opened)


def _inputs(workshop: Workshop, evidence: Evidence) -> tuple[Path, int]:
    """The first usual sample, cut to one row where there is a batch; and the batch size that it has."""
    signature = evidence.reference.signature
    arrays = read_arrays(evidence.path(evidence.reference.samples[0].inputs))
    batch = signature.batch
    if batch is not None and signature.dim(batch).min <= 1:
        arrays = [array[:1] for array in arrays]
    path = workshop.folder("timing") / "inputs.npz"
    np.savez(path, **{str(place): array for place, array in enumerate(arrays)})  # type: ignore[arg-type]
    return path, len(arrays[0]) if batch is not None else 0
