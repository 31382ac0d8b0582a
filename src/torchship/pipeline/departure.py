"""Tells of an artifact that answers wrongly which layer it departs at. A help: it never sinks the ship."""

from __future__ import annotations

from torchship.errors import TorchshipError
from torchship.models.source import Source
from torchship.pipeline.evidence import Evidence
from torchship.pipeline.proof import RefutedError
from torchship.pipeline.workshop import Workshop
from torchship.targets.builder import Form, Route
from torchship.worker.protocol import Bisect, Bisected

_SECONDS = 120.0  # at most


def told_with_layer(
    workshop: Workshop, source: Source, evidence: Evidence, route: Route, error: RefutedError, onnx: str | None
) -> RefutedError:
    """Give ``error`` with the layer in it; as it was where that can't be found."""
    workshop.tell(error.artifact.target, f"{route.name}: looking for the layer that departs")
    job = Bisect(
        source, evidence.reference.signature, evidence.reference.origin.weights_sha256, error.artifact.target,
        route.name, error.artifact, str(error.folder), str(evidence.path(error.files.inputs)),
        evidence.reference.epsilon, evidence.reference.inside, onnx,
    )  # fmt: skip
    name = f"prove-{error.artifact.target}-{route.name}-layers"
    try:
        with workshop.worker(name) as worker:
            found = worker.ask(job, Bisected, min(workshop.timeout, _SECONDS))
    except TorchshipError as failure:
        workshop.tell(error.artifact.target, f"{route.name}: the layer can't be told: {failure.what}")
        return error
    told = _told(found)
    if told is None and found.where is None:
        return error
    what, hint = "; ".join(filter(None, (error.what, told))), _hint(found, route.form)
    return RefutedError(
        what,
        error.files,
        error.artifact,
        error.folder,
        where=(found.where if found.told else error.where) or found.where,
        hint=hint,
        op=found.kind or error.op,
    )


def _told(found: Bisected) -> str | None:
    """What is known; None where no layer could be compared."""
    if found.told and not found.path:
        return found.told
    if not found.compared:
        return None
    place = f" ({found.where})" if found.where else ""
    if found.path:
        return f"first departs at {found.path}{place}: {found.told}"
    if found.compared == found.layers:
        return f"every layer of it is right, so it departs in the model's own forward{place}"
    return f"the {found.compared} of its {found.layers} layers that can be compared are right"


def _hint(found: Bisected, form: Form) -> str:
    layer = found.path or "the model"
    if found.told and not found.path:
        return "write it out: x[part] = x[part] & y in place of x[part] &= y"
    if found.training and ("Norm" in found.kind or "Dropout" in found.kind):
        return f"{layer} is in training mode, which this route doesn't keep: model.{found.path}.eval()"
    if form is Form.TRACED:
        return (
            f"a trace keeps the one way that the example went, and {layer} goes another by its values: torch.where "
            "instead of if, no loops and numbers that depend on values; the script route keeps them"
        )
    return f"the converter makes something else of {layer}: write it in another way, or take another target"
