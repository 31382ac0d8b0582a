"""Numbers in lists become arrays where nothing of them is lost."""

from __future__ import annotations

from typing import Any

import numpy as np

from torchship.errors import InputError
from torchship.signature import TensorSpec, numpy_dtype
from torchship.targets import Array

_EXACT = 2.0**53  # up to here a float64 tells whole numbers apart; numpy makes floats of lists with bigger ones in them


def array_for(spec: TensorSpec, value: Any) -> Array:
    """Give ``value`` as an array. An array keeps its type; lists and numbers take that of ``spec``.

    Python's floats, and whole numbers among them, are rounded to the spec's precision, as literals are. Nothing else
    may be lost: no fraction in a whole number, no value beyond the type's range, no number for a truth value.

    Raises:
        InputError: names the input and what doesn't fit.
    """
    wanted = numpy_dtype(spec.dtype)
    if isinstance(value, np.ndarray) or (hasattr(value, "__array__") and not isinstance(value, (list, tuple))):
        array = np.asarray(value)
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"input {spec.name} is no array: its lists have different lengths", where=spec.name) from error
    if array.dtype == wanted:
        return array
    return _converted(spec, array, wanted)


def _converted(spec: TensorSpec, array: Array, wanted: np.dtype[np.generic]) -> Array:
    if array.size == 0:
        return array.astype(wanted)
    allowed = {"b": "b", "u": "iuf", "i": "iuf", "f": "iuf", "c": "iufc"}
    if array.dtype.kind not in allowed.get(wanted.kind, ""):
        raise InputError(f"input {spec.name} takes {spec.dtype}, the lists hold {_kind(array)}", where=spec.name)
    with np.errstate(over="ignore", invalid="ignore"):
        converted = array.astype(wanted)
        lossy = _lossy(array, converted)
    if lossy.any():
        first = array[lossy].ravel()[0]
        raise InputError(f"input {spec.name} takes {spec.dtype}, which can't hold {first!s}", where=spec.name)
    return converted


def _lossy(array: Array, converted: Array) -> Array:
    """Where a number became another one. Python's floats may be rounded, as literals are, but not overflow."""
    lossy: Array
    if array.dtype.kind == "f" and converted.dtype.kind in "fc":
        lossy = np.isinf(converted) & ~np.isinf(array)
    elif converted.dtype.kind in "iu" and array.dtype.kind == "f":
        bounds = np.iinfo(converted.dtype)
        inside = (array >= float(bounds.min)) & (array <= float(bounds.max)) & (np.abs(array) <= _EXACT)
        lossy = ~inside | (np.trunc(array) != array)
    elif array.dtype.kind in "iu":  # back again: a float64 in between would hide what was lost
        beyond = converted.real >= 2.0 ** (8 * array.dtype.itemsize - (array.dtype.kind == "i"))
        lossy = (converted.astype(array.dtype) != array) | ((converted.real < 0) != (array < 0)) | beyond
    else:
        lossy = converted != array
    return lossy


def _kind(array: Array) -> str:
    kinds = {
        "b": "truth values",
        "i": "whole numbers",
        "u": "whole numbers",
        "f": "fractions",
        "U": "text",
        "O": "objects",
    }
    return kinds.get(array.dtype.kind, str(array.dtype))
