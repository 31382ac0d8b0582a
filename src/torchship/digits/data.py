"""The embedded digits and their split. numpy alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLASSES = 10
SIDE = 28
HELD_OUT_ONE_IN = 5

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Digits:
    """Images uint8 ``[n, 28, 28]``, 0 black to 255 white, white ink on black; labels uint8 ``[n]``, 0 to 9."""

    images: Bytes
    labels: Bytes

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, chosen: Sequence[int] | NDArray[Any]) -> Digits:
        """Those at ``chosen``: indices, or one bool each."""
        return Digits(self.images[chosen], self.labels[chosen])

    def batch(self) -> Bytes:
        """As a digits bundle takes them: uint8 ``[n, 1, 28, 28]``."""
        return self.images[:, np.newaxis]

    def fingerprints(self) -> list[bytes]:
        """SHA-256 of each image's 784 bytes."""
        return [hashlib.sha256(image.tobytes()).digest() for image in self.images]


@dataclass(frozen=True, eq=False)
class Split:
    """What is trained on, and what accuracy is measured on. No image is in both."""

    train: Digits
    held_out: Digits


@cache
def embedded() -> Digits:
    """All 5,000, 500 of each class in the order of their labels; read-only. See ``data/SOURCE.md``."""
    with resources.files(__package__).joinpath("data/mnist5k.npz").open("rb") as file, np.load(file) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    images.setflags(write=False)
    labels.setflags(write=False)
    return Digits(images, labels)


@cache
def split() -> Split:
    """4,000 to train on and 1,000 held out, 400 and 100 of each class.

    All are put in the order of their fingerprints, which says nothing of what they show and depends on no
    random generator; of each class every fifth in that order is held out.
    """
    whole = embedded()
    fingerprints = whole.fingerprints()
    ordered = whole.take(sorted(range(len(whole)), key=fingerprints.__getitem__))
    held_out = np.zeros(len(whole), dtype=np.bool_)
    for digit in range(CLASSES):
        held_out[np.flatnonzero(ordered.labels == digit)[::HELD_OUT_ONE_IN]] = True
    return Split(ordered.take(~held_out), ordered.take(held_out))


def without(digits: Digits, others: Digits) -> Digits:
    """Those of ``digits`` whose picture is not among ``others``."""
    known = set(others.fingerprints())
    return digits.take(np.array([one not in known for one in digits.fingerprints()], dtype=np.bool_))
