"""What labelled data says: the share of right answers, and where there are no labels the agreement with eager."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from torchship.bundle.manifest import Evaluation
from torchship.errors import InputError

Array = npt.NDArray[Any]


def evaluate_scores(scores: Array, labels: Array) -> Evaluation:
    """Judge ``scores`` [n, classes] against ``labels`` [n], the right class of each row.

    Raises:
        InputError: the two don't fit each other, or a label is no class.
    """
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or labels.dtype.kind not in "iu":
        raise InputError(
            f"scores {list(scores.shape)} and labels {list(labels.shape)} ({labels.dtype}) don't fit",
            hint="labels are whole numbers, one for each row of the first output",
        )
    classes = scores.shape[1]
    if labels.size == 0 or int(labels.min()) < 0 or int(labels.max()) >= classes:
        raise InputError(f"labels must be 0 to {classes - 1}, one at least", hint="look at the evaluation data")
    answers = scores.argmax(axis=1)
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (labels.astype(np.int64), answers), 1)
    return Evaluation(
        samples=len(labels),
        accuracy=float((answers == labels).mean()),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )


def agreement(scores: Array, eager: Array) -> float:
    """The share of rows whose greatest score is at the same class as eager's."""
    return float((scores.argmax(axis=-1) == eager.argmax(axis=-1)).mean())
