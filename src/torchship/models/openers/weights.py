"""Weights in a file, with ``--model file.py:NAME`` for the architecture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torchship.errors import MalformedError, SourceError
from torchship.formats import checkpoints, recognise, safetensors
from torchship.formats.mapped import mapped
from torchship.formats.rules import Rules
from torchship.formats.torch_rules import WEIGHTS, module_rules
from torchship.models.described import described
from torchship.models.model import Description
from torchship.models.openers.python import build
from torchship.models.source import Source
from torchship.models.state_dict import put
from torchship.models.unpickling import load

RANK = 40
_SHOWN = 8


def recognises(source: Source) -> bool:
    """Files of torch or safetensors, by their content."""
    return source.file is not None and recognise.kind_of(Path(source.file)) in (checkpoints.KIND, safetensors.KIND)


def describe(source: Source) -> Description:
    """Build the architecture and put the weights in.

    Raises:
        SourceError: no architecture is named, or the weights don't fit it; says what is in the file.
    """
    path = Path(str(source.file))
    if source.model is None:
        raise SourceError(
            f"{path} holds weights alone: {_contents(path)}",
            hint="--model file.py:NAME names the architecture that they belong to",
        )
    weights = read(path, module_rules(source.allow) if source.allow else WEIGHTS)
    description = described(build(source.model), str(source.model))
    notes = put(description.model, weights, str(path))
    return replace(description, notes=(*description.notes, *notes))


def read(path: Path, rules: Rules = WEIGHTS) -> Any:
    """Read weights without executing anything in the file but what ``rules`` allow.

    Raises:
        UnsafeError: it names code to run. MalformedError: it is damaged.
    """
    if recognise.kind_of(path) == safetensors.KIND:
        return _safetensors(path)
    return load(path, rules)


def _safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    with mapped(path) as raw:
        safetensors.look(raw)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise MalformedError(f"{path} is no valid safetensors file: {error}") from error


def _contents(path: Path) -> str:
    """The first tensors, with their types and shapes; raises UnsafeError and MalformedError as ``read`` does."""
    if recognise.kind_of(path) == checkpoints.KIND:
        checkpoints.read(path, WEIGHTS)
    found = recognise.look(path)
    if found.reasons:
        raise MalformedError(f"{path}: {found.reasons[0]}", where=str(path), hint="is it whole? save it again")
    told = [f"{each.name} {each.dtype}{list(each.shape or ())}" for each in found.tensors[:_SHOWN]]
    more = len(found.tensors) - _SHOWN
    return (", ".join(told) or "no tensors") + (f" and {more} more" if more > 0 else "")
