"""How good an artifact is at its task: on labelled data, or by the user's own function."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from torchship.bundle.artifact import Verdict
from torchship.errors import ConversionError
from torchship.models.source import PythonObject, Source
from torchship.pipeline.evidence import Evidence, read_arrays
from torchship.targets import Array
from torchship.verify import evaluate_scores
from torchship.worker.process import Worker
from torchship.worker.protocol import Ran, Run, Score, Scored

_ROWS = 100  # rows of labelled data a call: what the reference used


class Scorer(Protocol):
    """Judges the artifact that a worker has opened."""

    def accuracy(self, worker: Worker, scratch: Path) -> float | None:
        """Give its accuracy; None where nothing is there to judge it by."""
        ...


class FileScorer:
    """For a source that the worker can open: the user's function runs in the worker."""

    def __init__(
        self, source: Source, evidence: Evidence, evaluate: Path | PythonObject | None, timeout: float
    ) -> None:
        self._source = source
        self._evidence = evidence
        self._evaluate = evaluate if isinstance(evaluate, PythonObject) else None
        self._timeout = timeout

    def accuracy(self, worker: Worker, scratch: Path) -> float | None:
        """Judge by the function where there is one, else by the labelled data."""
        reference = self._evidence.reference
        if not reference.judged:
            return labelled_accuracy(worker, self._evidence, scratch, self._timeout)
        return worker.ask(Score(self._source, reference.signature, self._evaluate), Scored, self._timeout).score


class LiveScorer:
    """For a live model: the user's function runs here and asks the worker."""

    def __init__(self, evidence: Evidence, evaluate: Any, timeout: float) -> None:
        self._evidence = evidence
        self._evaluate = evaluate
        self._timeout = timeout

    def accuracy(self, worker: Worker, scratch: Path) -> float | None:
        """Judge by the function where there is one, else by the labelled data."""
        from torchship.models.scoring import predictor, score

        if not self._evidence.reference.judged:
            return labelled_accuracy(worker, self._evidence, scratch, self._timeout)

        def answer(inputs: Sequence[Array]) -> list[Array]:
            return ask(worker, inputs, scratch, self._timeout)

        return score(self._evaluate, predictor(self._evidence.reference.signature, answer))


def drop(verdict: Verdict, evidence: Evidence) -> float:
    """What an artifact lost of eager's accuracy, as a share; where nothing judges that, of its agreement with eager.

    A single answer that went the other way is a tie, not a loss.
    """
    eager, accuracy = evidence.reference.evaluation, verdict.accuracy
    if eager is None or accuracy is None:
        return 1.0 - (1.0 if verdict.agreement is None else verdict.agreement)
    tie = 1 / eager.samples if eager.samples else 1e-3
    lost = eager.accuracy - accuracy
    return lost if lost > tie + 1e-9 else 0.0


def loss_told(lost: float, most: float, evidence: Evidence) -> str:
    """What a variant loses, and of what, as a part of a sentence."""
    measure = "accuracy" if evidence.reference.evaluation is not None else "agreement with eager"
    return f"loses {lost:.2%} of {measure}, {most:.2%} is allowed"


def labelled_accuracy(worker: Worker, evidence: Evidence, scratch: Path, timeout: float) -> float | None:
    """The share of right answers on the labelled data, where there is any."""
    if evidence.reference.evaluate is None:
        return None
    signature = evidence.reference.signature
    with np.load(evidence.path(evidence.reference.evaluate), allow_pickle=False) as arrays:
        labels = arrays["labels"]
        inputs = [arrays[spec.name] for spec in signature.inputs]
    try:
        answers = ask(worker, inputs, scratch, timeout, _ROWS if signature.batch else 0)
    except ConversionError as error:
        raise ConversionError(f"made, but it raises on the labelled data: {error.what}", where=error.where) from error
    return evaluate_scores(answers[0], labels).accuracy


def ask(worker: Worker, inputs: Sequence[Array], scratch: Path, timeout: float, rows: int = 0) -> list[Array]:
    """Have the opened artifact answer arrays."""
    given, out = scratch / "asked.npz", scratch / "answered.npz"
    np.savez(given, **{str(place): array for place, array in enumerate(inputs)})  # type: ignore[arg-type]
    worker.ask(Run(str(given), str(out), rows), Ran, timeout)
    return read_arrays(out)
