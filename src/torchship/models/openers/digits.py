"""A file that ``torchship train digits`` wrote: needs no ``--model`` and brings its own held-out data."""

from __future__ import annotations

from pathlib import Path

from torchship.formats import checkpoints
from torchship.formats.torch_rules import WEIGHTS
from torchship.models.described import described
from torchship.models.model import Description
from torchship.models.source import Source

RANK = 20


def recognises(source: Source) -> bool:
    """Our own checkpoints, by what stands in them."""
    from torchship.digits import is_digits

    return source.file is not None and source.model is None and is_digits(Path(source.file))


def describe(source: Source) -> Description:
    """Open it with its data; raises UnsafeError where it is more than weights."""
    from torchship.digits import source as digits_source

    path = Path(str(source.file))
    checkpoints.read(path, WEIGHTS)
    return described(digits_source(path), source.text)
