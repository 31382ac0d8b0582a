"""The model that a worker serves."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from torchship.measure.cores import cores
from torchship.runtime import load
from torchship.serve.batcher import Batcher, Policy
from torchship.serve.board import Board, Row
from torchship.serve.lanes import InLoop, InThreads, Lanes
from torchship.serve.rehearsal import Pace, rehearse, sample_of
from torchship.serve.settings import ServeSettings
from torchship.serve.v2.datatypes import check_servable
from torchship.serve.v2.reader import RequestReader
from torchship.serve.v2.writer import ResponseWriter

VERSION = "1"


class ServedModel:
    """A loaded model with its name, its readers and writers, and its queue (from ``open`` on)."""

    def __init__(self, settings: ServeSettings) -> None:
        """Load, check and rehearse it.

        Raises:
            TorchshipError: whatever ``load`` raises; or the protocol can't carry it, or it doesn't answer.
        """
        self.name = settings.name
        self.version = VERSION
        self.shipped = load(settings.bundle, artifact=settings.artifact, threads=settings.threads, avoid=("torch",))
        signature = self.shipped.signature
        check_servable(signature)
        self.reader = RequestReader(signature)
        self.writer = ResponseWriter(signature, self.name, self.version)
        samples = self.shipped.samples()
        self._sample = sample_of(signature, list(samples[0].inputs) if samples else None)
        self.pace = self._rehearse()
        self.rows = settings.max_batch or self.pace.rows

    def _rehearse(self) -> Pace:
        signature = self.shipped.signature
        most = inf
        if signature.batch is None:
            most = 1
        elif (bound := signature.dim(signature.batch).max) is not None:
            most = bound
        return rehearse(self.shipped.infer, self._sample, most)

    def open(self, settings: ServeSettings, board: Board, row: Row, broken: Callable[[Exception], None]) -> None:
        """Open the queue; to be called in the event loop."""
        lanes: Lanes = InLoop() if self.pace.quick else InThreads(max(1, cores() // max(1, settings.workers)))
        policy = Policy(
            batched=self.shipped.signature.batch is not None,
            rows=self.rows,
            queue=settings.max_queue,
        )
        self.batcher = Batcher(self.shipped.infer, self._sample, policy, lanes, board, row, broken)

    def close(self) -> None:
        """Wait for what runs, and give everything back."""
        self.batcher.close()
        self.shipped.close()
