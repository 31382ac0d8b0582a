"""From scores to class names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from torchship.targets import Array

Label = str | list[Any] | None


def label_of(scores: Array, labels: Sequence[str]) -> Label:
    """Name the class with the highest score along the last axis; lists along the others, a batch of one unwrapped.

    None where there are no class names, or not as many as scores, or where a score is NaN.
    """
    if not labels or scores.ndim == 0 or scores.shape[-1] != len(labels):
        return None
    places = np.where(np.isnan(scores).any(axis=-1), len(labels), scores.argmax(axis=-1))
    names = np.asarray([*labels, None], dtype=object)[places]
    return _unwrapped(names.tolist()) if isinstance(names, np.ndarray) else cast(Label, names)


def _unwrapped(names: list[Any]) -> Label:
    return names[0] if len(names) == 1 else names
