"""Proves an artifact: a fresh process opens it, answers what the capture never saw, and is held against eager."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from torchship.bundle.artifact import Artifact, Verdict
from torchship.convert.diagnosis import Graph, diagnose
from torchship.errors import ConversionError, UnsafeError
from torchship.models.places import deepest
from torchship.models.reference import SampleFiles
from torchship.pipeline.accuracy import Scorer
from torchship.pipeline.evidence import Evidence, read_arrays
from torchship.pipeline.workshop import Workshop
from torchship.verify import Judge
from torchship.verify.parity import Finding
from torchship.worker.process import Worker
from torchship.worker.protocol import Open, Opened, Ran, Run


class RefutedError(ConversionError):
    """An artifact in ``folder`` that was made, and is wrong on a valid input: the one in ``files``.

    ``ran``: it gave an answer, and a wrong one.
    """

    def __init__(  # noqa: PLR0913 - what is told, and what it is told of
        self, what: str, files: SampleFiles, artifact: Artifact, folder: Path, *,
        where: str | None = None, hint: str | None = None, op: str | None = None, ran: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(what, where=where, hint=hint, op=op)
        self.files = files
        self.artifact = artifact
        self.folder = folder
        self.ran = ran


def prove(workshop: Workshop, artifact: Artifact, folder: Path, evidence: Evidence, scorer: Scorer) -> Verdict:
    """Give the verdict of an artifact that is right.

    Raises:
        RefutedError: it answers wrongly, or raises on a valid input; says on which.
        WorkerError: its runtime crashed or hung.
    """
    scratch = workshop.folder("answers", f"{artifact.name}-{artifact.route}")
    judge = Judge(evidence.outputs, evidence.rounding)
    with workshop.worker(f"prove-{artifact.target}-{artifact.route}") as worker:
        opening = Open(artifact, evidence.reference.signature, str(folder), artifact.settings)
        _open(worker, opening, workshop.timeout)
        for files in evidence.reference.samples:
            out = scratch / files.inputs
            try:
                worker.ask(Run(str(evidence.path(files.inputs)), str(out)), Ran, workshop.timeout)
            except ConversionError as error:
                what = f"made, but it raises on the valid input '{files.name}': {error.what}"
                raise RefutedError(
                    what, files, artifact, folder, where=error.where, hint=error.hint, op=error.op, ran=False
                ) from error
            wrong = judge.add(evidence.sample(files), read_arrays(out))
            out.unlink()
            if wrong:
                raise _refuted(wrong[0], files, artifact, folder, evidence.outputs)
        verdict = judge.verdict([files.name for files in evidence.golden_samples])
        return msgspec.structs.replace(verdict, accuracy=scorer.accuracy(worker, scratch))


def _refuted(
    finding: Finding, files: SampleFiles, artifact: Artifact, folder: Path, outputs: Sequence[str]
) -> RefutedError:
    """With the operator that gives the output which is wrong, and its line, as far as nothing better is known."""
    place = outputs.index(finding.output) if finding.output in outputs else len(outputs)
    giving = Graph.beside(folder).output(place)
    line = deepest(giving.places)
    return RefutedError(
        f"made, but it answers wrongly on the input '{files.name}': {finding.wrong}",
        files, artifact, folder, where=str(line) if line else None, op=giving.op,
    )  # fmt: skip


def _open(worker: Worker, job: Open, timeout: float) -> None:
    try:
        worker.ask(job, Opened, timeout)
    except UnsafeError as error:
        told = diagnose(error, "opening what was made", graph=Graph.beside(Path(job.folder)))
        if told.op is not None:
            raise told from error
        raise ConversionError(
            f"made, but its file holds what can't be opened safely: {error.what}",
            hint="another target may hold it: onnx and openvino have no such things",
        ) from error
