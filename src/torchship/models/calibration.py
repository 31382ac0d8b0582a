"""Typical inputs, from which the ranges of a quantised model are read, in the forms that users have them in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from torchship.errors import InputError, UsageError
from torchship.models.eager import Array, as_array
from torchship.models.model import Model
from torchship.models.samples import flat_example
from torchship.runtime.binding import Binding
from torchship.signature import Signature

_MOST = 256  # calls
_ROWS = 32  # of an .npz, a call
_HINT = "give a few hundred typical inputs: an .npz with an array per input, or an iterable of examples"


def write_calibration(model: Model, given: Any, signature: Signature, path: Path) -> None:
    """Write the first of ``given`` as ``ROW.PLACE`` arrays into an ``.npz``.

    Raises:
        UsageError: it is empty, or all of it is one constant, or it doesn't fit the model.
    """
    binding = Binding(signature)
    rows = [_checked(binding, row, at) for at, row in enumerate(islice(_rows(model, given, signature), _MOST))]
    if not rows or not any(array.size for row in rows for array in row):
        raise UsageError("the calibration data is empty", hint=_HINT)
    seen = [np.concatenate([np.ravel(row[place]) for row in rows]) for place in range(len(signature.inputs))]
    if all(array.size and (array == array[0]).all() for array in seen):
        raise UsageError("the calibration data is constant: no range can be read from it", hint=_HINT)
    for spec, array in zip(signature.inputs, seen, strict=True):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UsageError(f"the calibration data of {spec.name} holds NaN or infinity", hint=_HINT)
    arrays = {f"{at}.{place}": array for at, row in enumerate(rows) for place, array in enumerate(row)}
    np.savez(path, **arrays)  # type: ignore[arg-type]


def _checked(binding: Binding, row: Sequence[Array], at: int) -> Sequence[Array]:
    try:
        return binding.check(list(row))
    except InputError as error:
        raise UsageError(f"calibration example {at} doesn't fit: {error.what}", hint=_HINT) from error


def _rows(model: Model, given: Any, signature: Signature) -> Iterator[Sequence[Array]]:
    if isinstance(given, Path):
        yield from _stacked(model, _read(given), signature)
    elif isinstance(given, Mapping):
        yield from _stacked(model, given, signature)
    else:
        examples = given() if callable(given) else given
        if not isinstance(examples, Iterable):
            raise UsageError(f"the calibration data is a {type(examples).__name__}", hint=_HINT)
        for example in examples:
            yield [as_array(tensor) for tensor in flat_example(model, example)]


def _read(path: Path) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise UsageError(f"{path} can't be read as calibration data: {error}", hint=_HINT) from error


def _stacked(model: Model, given: Mapping[str, Any], signature: Signature) -> Iterator[Sequence[Array]]:
    """Rows along the first axis: a batch of them a call where the model takes one, else one a call."""
    if missing := [name for name in model.names if name not in given]:
        raise UsageError(f"the calibration data lacks {', '.join(missing)}", hint=_HINT)
    arrays = [np.asarray(given[name]) for name in model.names]
    counts = {len(array) if array.ndim else 0 for array in arrays}
    if len(counts) != 1:
        raise UsageError("the calibration data's inputs have other numbers of rows than each other", hint=_HINT)
    batch = signature.batch
    if batch is None:
        yield from ([array[row] for array in arrays] for row in range(counts.pop()))
        return
    size = min(_ROWS, signature.dim(batch).max or _ROWS)
    yield from ([array[at : at + size] for array in arrays] for at in range(0, counts.pop(), size))
