"""Has a variant that is meant to differ from eager judged: by what it loses."""

from __future__ import annotations

from pathlib import Path

import msgspec

from torchship.bundle.artifact import Artifact, Verdict
from torchship.errors import ConversionError
from torchship.pipeline.accuracy import Scorer
from torchship.pipeline.evidence import Evidence, read_arrays
from torchship.pipeline.workshop import Workshop
from torchship.verify.reduced import ReducedJudge
from torchship.worker.protocol import Open, Opened, Ran, Run

LOOSER = "leave it in float (--quantize none), or allow more with --max-drop"


def judged(workshop: Workshop, artifact: Artifact, folder: Path, evidence: Evidence, scorer: Scorer) -> Verdict:
    """Give the verdict of an artifact that answers every valid input.

    Raises:
        ConversionError: it raises, or gives other shapes, or no numbers where eager gives them.
        WorkerError: its runtime crashed or hung.
    """
    judge = ReducedJudge(evidence.outputs)
    scratch = workshop.folder("answers", artifact.name)
    with workshop.worker(f"prove-{artifact.name}") as worker:
        opening = Open(artifact, evidence.reference.signature, str(folder), artifact.settings)
        worker.ask(opening, Opened, workshop.timeout)
        for files in evidence.reference.samples:
            out = scratch / files.inputs
            worker.ask(Run(str(evidence.path(files.inputs)), str(out)), Ran, workshop.timeout)
            wrong = judge.add(evidence.sample(files), read_arrays(out))
            out.unlink()
            if wrong:
                raise ConversionError(f"made, but it answers wrongly on the input '{files.name}': {wrong}", hint=LOOSER)
        verdict = judge.verdict([files.name for files in evidence.golden_samples])
        return msgspec.structs.replace(verdict, accuracy=scorer.accuracy(worker, scratch))
