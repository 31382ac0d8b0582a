"""A whole module that was pickled: its classes are named by the user, or nothing of it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from torchship.errors import RefusedError, SourceError
from torchship.formats import checkpoints, recognise
from torchship.formats.torch_rules import module_rules
from torchship.models.described import described
from torchship.models.model import Description
from torchship.models.openers.python import imported
from torchship.models.source import Source
from torchship.models.unpickling import load

RANK = 30


def recognises(source: Source) -> bool:
    """Files of torch whose pickle makes an object of some class, at the top or where a checkpoint keeps its model."""
    if source.file is None or recognise.kind_of(Path(source.file)) != checkpoints.KIND:
        return False
    try:
        return checkpoints.module_class(checkpoints.read(Path(source.file), None)) is not None
    except RefusedError:
        return False  # whoever opens it then says why


def describe(source: Source) -> Description:
    """Unpickle it with the classes that ``--allow`` names; those of ``__main__`` are looked up in ``--model``'s file.

    An allowed class's own ``__setstate__`` runs, and the module that it is defined in is imported: to allow it is to
    trust both its code and that this file gives it a sensible state.

    Raises:
        UnsafeError: it names anything else; lists the flags that are missing.
    """
    path = Path(str(source.file))
    rules = module_rules(source.allow)
    checkpoints.read(path, rules)
    home = imported(source.model) if source.model is not None else None
    return described(_module(load(path, rules, home), path), source.text)


def _module(loaded: Any, path: Path) -> nn.Module:
    at = loaded
    for _ in range(4):
        if isinstance(at, nn.Module):
            return at
        if not isinstance(at, dict):
            break
        at = next((at[key] for key in checkpoints.NESTS if isinstance(at.get(key), (dict, nn.Module))), None)
    raise SourceError(
        f"{path} holds a {type(loaded).__name__}, which is no nn.Module",
        hint="torch.save(model, path), or the state_dict with --model",
    )
