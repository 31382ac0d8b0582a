"""The confusion matrix as the page shows it: a table with shades, or a picture where there are too many classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from torchship.bundle.manifest import Evaluation
from torchship.report.pictures import data_uri

_MOST_IN_TABLE = 20
_MIXED_UP = 6


@dataclass(frozen=True)
class Cell:
    """How often a truth was answered so, and as a share of that truth's samples."""

    count: int
    share: float
    right: bool

    @property
    def depth(self) -> float:
        """How strong its colour is, 0 to 1: figures stay legible on it, and rare mistakes are seen."""
        return round(0.5 * self.share if self.right else 0.75 * math.sqrt(self.share), 3)


@dataclass(frozen=True)
class MixUp:
    """A truth that was taken for another class, ``count`` times."""

    truth: str
    answer: str
    count: int


@dataclass(frozen=True)
class Confusion:
    """``rows[truth][answer]``, empty where there are too many classes for a table: then ``picture`` is a data URI."""

    labels: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    picture: str | None
    mix_ups: tuple[MixUp, ...]


def confusion(evaluation: Evaluation | None, labels: Sequence[str]) -> Confusion | None:
    """None where there is no matrix, or one that isn't square."""
    if evaluation is None or not evaluation.confusion:
        return None
    classes = len(evaluation.confusion)
    if any(len(row) != classes for row in evaluation.confusion):
        return None
    counts = np.asarray(evaluation.confusion, dtype=np.int64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = tuple(labels) if len(labels) == classes else tuple(str(number) for number in range(classes))
    fits = classes <= _MOST_IN_TABLE
    return Confusion(
        names,
        tuple(_row(counts[truth], shares[truth], truth) for truth in range(classes)) if fits else (),
        None if fits else _picture(shares),
        _mix_ups(counts, names),
    )


def _row(counts: np.ndarray, shares: np.ndarray, truth: int) -> tuple[Cell, ...]:
    pairs = zip(counts.tolist(), shares.tolist(), strict=True)
    return tuple(Cell(count, share, truth == answer) for answer, (count, share) in enumerate(pairs))


def _mix_ups(counts: np.ndarray, names: Sequence[str]) -> tuple[MixUp, ...]:
    off = counts.copy()
    np.fill_diagonal(off, 0)
    most = np.argsort(-off, axis=None, kind="stable")[:_MIXED_UP]
    places = zip(*np.unravel_index(most, off.shape), strict=True)
    return tuple(MixUp(names[t], names[a], int(off[t, a])) for t, a in places if off[t, a])


def _picture(shares: np.ndarray) -> str:
    """A pixel a cell: the right answers in green, the wrong in red, the more opaque the more often."""
    from PIL import Image

    pixels = np.zeros((*shares.shape, 4), dtype=np.uint8)
    pixels[..., :3] = (220, 60, 70)
    pixels[np.eye(len(shares), dtype=bool), :3] = (20, 150, 110)
    pixels[..., 3] = np.sqrt(shares) * 255
    return data_uri(Image.fromarray(pixels, "RGBA"))
