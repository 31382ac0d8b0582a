"""Labelled data, in the forms that users have it in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from torchship.errors import UsageError
from torchship.models.model import Model
from torchship.models.samples import flat_example
from torchship.models.scoring import Judge


@dataclass(frozen=True)
class LabelledData:
    """One tensor an input, all with the same number of rows, and a whole number a row."""

    inputs: tuple[Tensor, ...]
    labels: npt.NDArray[np.int64]


def evaluation_data(model: Model, given: Any) -> LabelledData | Judge | None:
    """Read what the user gave: a callable, a path of an ``.npz``, arrays by name with ``labels``, or labelled examples.

    Raises:
        UsageError: none of these, or it doesn't fit the model.
    """
    if given is None or callable(given):
        return cast("Judge | None", given)
    if isinstance(given, Path):
        return _from_file(model, given)
    if isinstance(given, Mapping):
        return _from_mapping(model, given)
    rows = list(given)
    if not rows:
        raise UsageError("the evaluation data is empty")
    examples = [flat_example(model, example) for example, _ in rows]
    inputs = tuple(torch.cat([example[place] for example in examples]) for place in range(len(model.names)))
    return LabelledData(
        inputs, np.concatenate([np.atleast_1d(np.asarray(label)) for _, label in rows]).astype(np.int64)
    )


def _from_file(model: Model, path: Path) -> LabelledData:
    """Read an ``.npz`` with an array an input name and ``labels``. Raises UsageError where it is something else."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return _from_mapping(model, {name: arrays[name] for name in arrays.files})
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise UsageError(
            f"{path} can't be read as labelled data: {error}", hint="np.savez(path, INPUT=array, labels=array)"
        ) from error


def _from_mapping(model: Model, given: Mapping[str, Any]) -> LabelledData:
    wanted = [*model.names, "labels"]
    if missing := [name for name in wanted if name not in given]:
        raise UsageError(f"the evaluation data lacks {', '.join(missing)}", hint=f"it takes: {', '.join(wanted)}")
    inputs = tuple(torch.as_tensor(given[name]) for name in model.names)
    labels = np.asarray(given["labels"])
    if {len(tensor) for tensor in inputs} != {len(labels)} or labels.dtype.kind not in "iu":
        raise UsageError("the evaluation data's inputs and whole-number labels must have as many rows as each other")
    return LabelledData(inputs, labels.astype(np.int64))
