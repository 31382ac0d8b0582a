"""What the bundle answers on this host: its golden calls once more, and pictures with their scores."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from torchship.bundle import golden
from torchship.bundle.opening import Bundle
from torchship.errors import UnavailableError, UsageError
from torchship.report.pictures import is_picture_like, thumbnail
from torchship.runtime import ShippedModel, load
from torchship.runtime.inputs import named_inputs
from torchship.targets import Array

_MOST_PICTURES = 24
_BARS = 3


@dataclass(frozen=True)
class Score:
    """A class and its score; ``share`` is the score's place between the picture's least (0) and greatest (1)."""

    label: str
    value: float
    share: float


@dataclass(frozen=True)
class Answer:
    """One picture. ``image``: a data URI; ``scores``: the highest, best first; ``eager``: the class that eager gave."""

    image: str
    source: str
    scores: tuple[Score, ...]
    eager: str | None = None


@dataclass(frozen=True)
class GoldenRun:
    """One golden call, run here. ``difference``: the largest, over all outputs; None where none is a number."""

    name: str
    shapes: tuple[str, ...]
    difference: float | None


@dataclass(frozen=True)
class Answers:
    """What ``artifact`` answered; ``unavailable`` says why nothing can run here."""

    artifact: str | None = None
    notes: tuple[str, ...] = ()
    runs: tuple[GoldenRun, ...] = ()
    pictures: tuple[Answer, ...] = ()
    unavailable: str | None = None


@dataclass(frozen=True)
class Extra:
    """An input that the user gives besides: its name and its bytes."""

    name: str
    raw: bytes


def ask(path: str | os.PathLike[str], bundle: Bundle, extras: Sequence[Extra] = ()) -> Answers:
    """Load the bundle as anybody would and let it answer; ``extras`` are shown in place of the golden pictures.

    Raises:
        RefusedError: an extra input doesn't fit, or is damaged.
    """
    try:
        with load(path) as model:
            return _asked(model, bundle, extras)
    except (UnavailableError, UsageError) as error:  # nothing runs on this host, or only elsewhere (Core ML)
        return Answers(unavailable=f"{error.what}: {error.hint}" if error.hint else error.what)


def _asked(model: ShippedModel, bundle: Bundle, extras: Sequence[Extra]) -> Answers:
    runs: list[GoldenRun] = []
    pictures: list[Answer] = []
    for name in bundle.manifest.golden:
        sample = golden.read(bundle.folder / name, model.signature)
        given = model.infer([np.asarray(array, order="C") for array in sample.inputs])
        shapes = tuple(
            f"{spec.name} {list(array.shape)}"
            for spec, array in zip(model.signature.inputs, sample.inputs, strict=True)
        )
        runs.append(GoldenRun(name.rpartition("/")[2], shapes, _difference(given, sample)))
        if not extras:
            pictures += _pictures(model, sample.inputs, given, "golden", sample.outputs)
    for extra in extras:
        inputs = model.check(named_inputs(extra.raw, model.signature, extra.name))
        pictures += _pictures(model, inputs, model.infer(inputs), extra.name)
    return Answers(model.artifact.name, tuple(model.notes), tuple(runs), tuple(pictures[:_MOST_PICTURES]))


def _difference(given: Sequence[Array], sample: golden.Golden) -> float | None:
    found = [
        float(np.abs(settled.astype(np.float64) - other.astype(np.float64))[np.isfinite(other)].max(initial=0.0))
        for settled, other in zip(map(sample.settled, count(), given), sample.outputs, strict=True)
        if other.dtype.kind in "fiub"
    ]
    return max(found, default=None)


def _pictures(
    model: ShippedModel,
    inputs: Sequence[Array],
    outputs: Sequence[Array],
    source: str,
    eager: Sequence[Array] | None = None,
) -> Iterator[Answer]:
    """The pictures among ``inputs``, each with its scores; none where the model doesn't sort pictures into classes."""
    image = next((array for array in inputs if is_picture_like(array)), None)
    place = next((at for at, array in enumerate(outputs) if _are_scores(array)), None)
    if image is None or place is None or len(outputs[place]) != len(image):
        return
    names = _names(model, outputs[place].shape[1])
    for row, pixels in enumerate(image):
        if pixels.min() == pixels.max():
            continue  # all of one shade: an extreme of the proof, nothing to look at
        expected = names[int(eager[place][row].argmax())] if eager is not None else None
        yield Answer(thumbnail(pixels), source, _scores(outputs[place][row], names), expected)


def _are_scores(array: Array) -> bool:
    return array.ndim == 2 and array.shape[1] > 1 and array.dtype.kind == "f" and bool(np.isfinite(array).all())


def _names(model: ShippedModel, classes: int) -> Sequence[str]:
    return model.labels if len(model.labels) == classes else [str(number) for number in range(classes)]


def _scores(row: Array, names: Sequence[str]) -> tuple[Score, ...]:
    low, high = float(row.min()), float(row.max())
    best = np.argsort(-row, kind="stable")[:_BARS]
    return tuple(Score(names[at], float(row[at]), (float(row[at]) - low) / ((high - low) or 1.0)) for at in best)
