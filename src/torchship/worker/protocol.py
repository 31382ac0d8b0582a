"""Jobs and answers, as they go over the pipe. Paths are absolute; arrays lie in ``.npz`` files, by place."""

from __future__ import annotations

import msgspec

from torchship.bundle.artifact import Artifact, Settings, Variant
from torchship.models.reference import Reference
from torchship.models.source import PythonObject, Source
from torchship.signature import Signature


class Observe(msgspec.Struct, frozen=True, tag=True):
    """Open the source, run it, write the reference into ``folder``; ``losing`` as in Recorder."""

    source: Source
    name: str
    folder: str
    evaluate: PythonObject | None = None
    evaluate_file: str | None = None
    calibration: PythonObject | None = None
    calibration_file: str | None = None
    losing: bool = False
    device: str = "cpu"


class Handover(msgspec.Struct, frozen=True, tag=True):
    """A live object's forms, captured where it lives and written into ``folder``."""

    folder: str


class Convert(msgspec.Struct, frozen=True, tag=True):
    """Open the source and capture it (or take the form that was handed over), and convert it to ``target``.

    ``onnx``: the model as ONNX that was proven, for a route that starts from it.
    """

    source: Source | Handover
    signature: Signature
    weights_sha256: str
    target: str
    route: str
    folder: str
    variant: Variant = Variant()
    onnx: str | None = None


class Prune(msgspec.Struct, frozen=True, tag=True):
    """Open the source, prune it, write its reference into ``folder`` and its ``forms`` into ``written``.

    ``train`` is labelled data, by object or file, for a short training; else the source's own, where it has any.
    """

    source: Source
    name: str
    folder: str
    method: str
    share: float
    forms: tuple[str, ...]
    written: str
    evaluate: PythonObject | None = None
    evaluate_file: str | None = None
    calibration: PythonObject | None = None
    calibration_file: str | None = None
    train: PythonObject | None = None
    train_file: str | None = None


class Derive(msgspec.Struct, frozen=True, tag=True):
    """Make a variant of the artifact in ``folder`` by the pass of that name, and write it into ``out``.

    ``kept``: layers that are to stay as they are. ``calibration``: typical inputs, as the reference keeps them.
    """

    artifact: Artifact
    folder: str
    name: str
    variant: Variant
    out: str
    calibration: str | None = None
    kept: tuple[str, ...] = ()


class Rank(msgspec.Struct, frozen=True, tag=True):
    """Tell by how much answers suffer where a pass touches one layer alone, within ``seconds`` or so."""

    artifact: Artifact
    folder: str
    name: str
    calibration: str | None
    seconds: float


class Open(msgspec.Struct, frozen=True, tag=True):
    """Open an artifact and keep it."""

    artifact: Artifact
    signature: Signature
    folder: str
    settings: Settings


class Run(msgspec.Struct, frozen=True, tag=True):
    """Answer the arrays in ``inputs`` with arrays in ``outputs``; ``rows`` at a time along axis 0, or (0) at once."""

    inputs: str
    outputs: str
    rows: int = 0


class Score(msgspec.Struct, frozen=True, tag=True):
    """Have the opened artifact judged by the user's own function: the one named, or else the source's."""

    source: Source
    signature: Signature
    evaluate: PythonObject | None = None


class Time(msgspec.Struct, frozen=True, tag=True):
    """Call again and again for ``seconds``, once at least; answer with milliseconds a call.

    ``warm_up``: seconds of calls before, that don't count; a model so slow that one call takes longer gets none.
    """

    inputs: str
    seconds: float
    warm_up: float = 0.02
    most: int = 100_000


class Bisect(msgspec.Struct, frozen=True, tag=True):
    """Find the layer at which an artifact departs on ``inputs``, which it is wrong on.

    ``epsilon`` and ``inside`` are as in Reference.
    """

    source: Source
    signature: Signature
    weights_sha256: str
    target: str
    route: str
    artifact: Artifact
    folder: str
    inputs: str
    epsilon: float
    inside: float
    onnx: str | None = None


Job = Observe | Convert | Prune | Derive | Rank | Open | Run | Score | Time | Bisect


class Observed(msgspec.Struct, frozen=True):
    """The answer to Observe. ``files``: what the user's code imported and opened."""

    reference: Reference
    files: tuple[str, ...] = ()


class Converted(msgspec.Struct, frozen=True):
    """The answer to Convert."""

    artifact: Artifact
    seconds: float


class Pruned(msgspec.Struct, frozen=True):
    """The answer to Prune. ``told``: what was taken away, in a sentence."""

    reference: Reference
    told: str
    seconds: float


class Ranked(msgspec.Struct, frozen=True):
    """The answer to Rank: layers, the most sensitive first."""

    layers: tuple[str, ...]


class Opened(msgspec.Struct, frozen=True):
    """The answer to Open."""

    seconds: float
    resident_mb: float


class Ran(msgspec.Struct, frozen=True):
    """The answer to Run."""

    seconds: float


class Scored(msgspec.Struct, frozen=True):
    """The answer to Score."""

    score: float


class Timed(msgspec.Struct, frozen=True):
    """The answer to Time: milliseconds of each call."""

    milliseconds: tuple[float, ...]


class Bisected(msgspec.Struct, frozen=True):
    """The answer to Bisect. ``path``: the module; empty where every layer that could be compared agrees.

    ``told``: by how much it departs; ``kind``: its class; ``training``: its mode; ``compared``: of how many ``layers``.
    """

    path: str = ""
    where: str | None = None
    told: str = ""
    kind: str = ""
    training: bool = False
    layers: int = 0
    compared: int = 0


class Failure(msgspec.Struct, frozen=True):
    """A job failed by an exception. ``kind`` is the name of an error of ``torchship.errors``."""

    kind: str
    what: str
    where: str | None = None
    hint: str | None = None
    op: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """One line back: a failure, or in ``result`` the JSON of the job's own answer."""

    result: msgspec.Raw = msgspec.Raw(b"null")
    failure: Failure | None = None
