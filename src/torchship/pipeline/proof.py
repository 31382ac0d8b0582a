"""Proves an artifact: a fresh process opens it, answers what the capture never saw, and is held against eager."""

from __future__ import annotations

from pathlib import Path

import msgspec

from torchship.bundle.artifact import Artifact, Verdict
from torchship.errors import ConversionError
from torchship.pipeline.accuracy import Scorer
from torchship.pipeline.evidence import Evidence, read_arrays
from torchship.pipeline.workshop import Workshop
from torchship.verify import Judge
from torchship.worker.protocol import Open, Opened, Ran, Run


def prove(workshop: Workshop, artifact: Artifact, folder: Path, evidence: Evidence, scorer: Scorer) -> Verdict:
    """Give the verdict of an artifact that is right.

    Raises:
        ConversionError: it answers wrongly, or raises on a valid input; says on which.
        WorkerError: its runtime crashed or hung.
    """
    scratch = workshop.folder("answers", f"{artifact.name}-{artifact.route}")
    judge = Judge(evidence.outputs, evidence.reference.epsilon, evidence.scales)
    with workshop.worker(f"prove-{artifact.name}") as worker:
        worker.ask(
            Open(artifact, evidence.reference.signature, str(folder), artifact.settings), Opened, workshop.timeout
        )
        for files in evidence.reference.samples:
            out = scratch / files.inputs
            try:
                worker.ask(Run(str(evidence.path(files.inputs)), str(out)), Ran, workshop.timeout)
            except ConversionError as error:
                raise ConversionError(
                    f"made, but it raises on the valid input '{files.name}': {error.what}",
                    where=error.where, op=error.op, hint=error.hint,
                ) from error  # fmt: skip
            wrong = judge.add(evidence.sample(files), read_arrays(out))
            out.unlink()
            if wrong:
                raise ConversionError(f"made, but it answers wrongly on the input '{files.name}': {wrong[0].wrong}")
        verdict = judge.verdict([files.name for files in evidence.golden_samples])
        return msgspec.structs.replace(verdict, accuracy=scorer.accuracy(worker, scratch))
