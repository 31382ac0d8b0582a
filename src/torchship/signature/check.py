"""Holds arrays against a signature, with sentences for the one who sent them."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from collections.abc import Sequence as SequenceType
from typing import Any

import numpy as np
import numpy.typing as npt

from torchship.errors import InputError
from torchship.signature.dtypes import numpy_dtype
from torchship.signature.spec import Signature, TensorSpec

Array = npt.NDArray[Any]


def check_names(signature: Signature, given: MappingType[str, object]) -> None:
    """Raise InputError unless exactly the signature's inputs are given."""
    wanted = [spec.name for spec in signature.inputs]
    missing = [name for name in wanted if name not in given]
    unknown = [name for name in given if name not in wanted]
    if missing or unknown:
        told = [f"missing: {', '.join(missing)}"] if missing else []
        told += [f"unknown: {', '.join(unknown)}"] if unknown else []
        raise InputError(f"the inputs don't fit ({'; '.join(told)})", hint=f"the model takes: {', '.join(wanted)}")


def check_arrays(signature: Signature, arrays: SequenceType[Array]) -> dict[str, int]:
    """Check dtypes, ranks and sizes, in the signature's order; give the size of each dynamic dim.

    Raises:
        InputError: names the input, what it is and what was wanted.
    """
    sizes: dict[str, int] = {}
    for spec, array in zip(signature.inputs, arrays, strict=True):
        if array.dtype != numpy_dtype(spec.dtype):
            raise InputError(
                f"input {spec.name} is {array.dtype}, the model takes {spec.dtype}",
                hint=f"convert it: {spec.name}.astype({str(numpy_dtype(spec.dtype))!r})",
            )
        check_shape(signature, spec, array.shape, sizes)
    check_relations(signature, sizes)
    return sizes


def check_relations(signature: Signature, sizes: MappingType[str, int]) -> None:
    """Check that dims which follow from others do; ``sizes`` are a whole call's.

    Raises:
        InputError: names the two dims, what they are, and what was wanted.
    """
    roots: dict[str, tuple[int, str]] = {name: (size, name) for name, size in sizes.items()}
    for dim in signature.dims:
        if not dim.root or dim.name not in sizes:
            continue
        size = sizes[dim.name]
        root, rest = divmod(size - dim.offset, dim.factor)
        known, by = roots.setdefault(dim.root, (root, dim.name))
        if rest or root != known:
            told = f"{by} is {sizes[by]}" if by in sizes and by != dim.name else f"{dim.root} is a whole number"
            raise InputError(
                f"the size {dim.name} is {size} where {told}", hint=f"{dim.name} follows from {dim.root} in every call"
            )


def check_shape(signature: Signature, spec: TensorSpec, shape: SequenceType[int], sizes: dict[str, int]) -> None:
    """Check one input's shape, and note the dims' sizes in ``sizes``; a dim has one size all through a call."""
    if len(shape) != len(spec.shape):
        raise _wrong(spec, shape, f"it has {len(shape)} axes instead of {len(spec.shape)}")
    for axis, (size, want) in enumerate(zip(shape, spec.shape, strict=True)):
        if isinstance(want, int):
            if size != want:
                raise _wrong(spec, shape, f"axis {axis} is {size} instead of {want}")
            continue
        dim = signature.dim(want)
        if size < dim.min or (dim.max is not None and size > dim.max):
            bounds = f"{dim.min} to {dim.max}" if dim.max is not None else f"{dim.min} or more"
            raise _wrong(spec, shape, f"{want} (axis {axis}) is {size}, allowed is {bounds}")
        if sizes.setdefault(want, size) != size:
            raise _wrong(spec, shape, f"{want} (axis {axis}) is {size} here and {sizes[want]} in an input before")


def check_numbers(signature: Signature, arrays: SequenceType[Array]) -> None:
    """Raise InputError where a floating-point input holds NaN, which no model answers meaningfully."""
    for spec, array in zip(signature.inputs, arrays, strict=True):
        if array.dtype.kind in "fc" and np.isnan(array).any():
            first = np.argwhere(np.isnan(array))[0].tolist()
            raise InputError(f"input {spec.name} holds NaN, first at {first}", hint="clean the data before you ask")


def _wrong(spec: TensorSpec, shape: SequenceType[int], why: str) -> InputError:
    wanted = ", ".join(str(size) for size in spec.shape)
    got = ", ".join(str(size) for size in shape)
    return InputError(f"input {spec.name} has shape [{got}], the model takes [{wanted}]: {why}")
