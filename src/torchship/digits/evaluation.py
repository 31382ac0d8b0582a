"""How well a net reads digits that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from torchship.digits.data import CLASSES, Digits

_BATCH = 500


@dataclass(frozen=True, eq=False)
class Evaluation:
    """``confusion[d, a]``: how many pictures of the digit ``d`` were answered with ``a``; int64 ``[10, 10]``."""

    confusion: NDArray[np.int64]

    @property
    def count(self) -> int:
        """How many pictures were shown."""
        return int(self.confusion.sum())

    @property
    def right(self) -> int:
        """How many were read right."""
        return int(self.confusion.trace())

    @property
    def accuracy(self) -> float:
        """The part that was read right, 0 to 1."""
        return self.right / self.count


def evaluate(net: nn.Module, preprocess: nn.Module, digits: Digits) -> Evaluation:
    """Ask ``net``, which must be in eval mode, for every picture; its answer is the digit with the highest score."""
    confusion = np.zeros((CLASSES, CLASSES), dtype=np.int64)
    with torch.inference_mode():
        for first in range(0, len(digits), _BATCH):
            part = digits.take(range(first, min(first + _BATCH, len(digits))))
            answers = net(preprocess(torch.tensor(part.batch()))).argmax(1).numpy()
            np.add.at(confusion, (part.labels, answers), 1)
    return Evaluation(confusion)
