"""Typical inputs of a bundle, to measure with: its golden samples, in the batch sizes that are wanted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from torchship.bundle import golden
from torchship.bundle.opening import Bundle
from torchship.errors import UsageError
from torchship.signature import Signature
from torchship.targets import Array

_BATCHES = (1, 8, 32)


def sizes_of(signature: Signature, wanted: Sequence[int] | None) -> list[int]:
    """The batch sizes that the model takes, of those that are wanted; 0 where it has no batch."""
    batch = signature.batch
    if batch is None:
        return [0]
    dim = signature.dim(batch)
    sizes = [size for size in wanted or _BATCHES if dim.min <= size and (dim.max is None or size <= dim.max)]
    if not sizes and wanted:
        raise UsageError(f"the model takes a {batch} of {dim.min} to {dim.max or 'any size'}", hint="--batch N")
    return sizes or [dim.max if dim.max is not None and dim.max < _BATCHES[0] else dim.min]


def inputs_of(bundle: Bundle, size: int) -> list[Array]:
    """The first golden sample, its rows repeated to a batch of ``size``."""
    if not bundle.manifest.golden:
        raise UsageError("the bundle has no golden samples to measure with", where=str(bundle.folder))
    sample = golden.read(bundle.folder / bundle.manifest.golden[0], bundle.manifest.signature)
    if not size:
        return list(sample.inputs)
    return [np.ascontiguousarray(np.resize(array, (size, *array.shape[1:]))) for array in sample.inputs]
