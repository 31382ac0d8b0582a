"""Weights in a file, with ``--model file.py:NAME`` for the architecture."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from torchship.errors import MalformedError, SourceError, UnsafeError
from torchship.models.described import described
from torchship.models.model import Description
from torchship.models.openers.python import build
from torchship.models.source import Source

RANK = 30
_NESTS = ("state_dict", "model_state_dict", "model", "net", "module", "weights")
_PREFIXES = ("module.", "model.", "_orig_mod.", "net.")


def recognises(source: Source) -> bool:
    """Any file beside which an architecture is named."""
    return source.file is not None and source.model is not None


def describe(source: Source) -> Description:
    """Build the architecture and put the weights in."""
    assert source.model is not None
    description = described(build(source.model), str(source.model))
    put(description.model, read(Path(str(source.file))), str(source.file))
    return replace(description, model=description.model)


def read(path: Path) -> dict[str, Tensor]:
    """Read a state_dict without executing anything in the file.

    Raises:
        MalformedError: no weights, or cut short. UnsafeError: it names code to run.
    """
    with path.open("rb") as stream:
        head = stream.read(16)
    if not head:
        raise MalformedError(f"{path} is empty (0 bytes)", hint="save it again: torch.save(model.state_dict(), path)")
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000:
        return _safetensors(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _unpickling(path, error) from error
    except (RuntimeError, EOFError, ValueError, zipfile.BadZipFile, KeyError) as error:
        raise MalformedError(f"{path} can't be read as weights: {error}", hint="is it whole? save it again") from error
    return state_dict_in(loaded, path)


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise MalformedError(f"{path} is no valid safetensors file: {error}") from error


def _unpickling(path: Path, error: pickle.UnpicklingError) -> Exception:
    told = str(error)
    if "GLOBAL" in told or "Unsupported" in told or "allowlist" in told:
        first = next(
            (line.strip() for line in told.splitlines() if "GLOBAL" in line or "Unsupported" in line), told[:200]
        )
        return UnsafeError(
            f"{path} holds more than weights: {first}",
            hint="save the state_dict alone: torch.save(model.state_dict(), path)",
        )
    return MalformedError(f"{path} can't be read as weights: {told.splitlines()[0]}", hint="is it whole? save it again")


def state_dict_in(loaded: Any, path: Path) -> dict[str, Tensor]:
    """Find the state_dict in what was loaded: itself, or below one of the usual keys."""
    at = loaded
    for _ in range(3):
        if isinstance(at, Mapping) and at and all(isinstance(value, Tensor) for value in at.values()):
            return {str(key): value for key, value in at.items()}
        nest = next((key for key in _NESTS if isinstance(at, Mapping) and isinstance(at.get(key), Mapping)), None)
        if nest is None:
            break
        at = at[nest]
    if isinstance(at, Mapping) and (tensors := {str(k): v for k, v in at.items() if isinstance(v, Tensor)}):
        return tensors
    kind = type(loaded).__name__
    raise MalformedError(f"{path} holds a {kind}, and no weights in it", hint="torch.save(model.state_dict(), path)")


def put(module: nn.Module, state: dict[str, Tensor], origin: str) -> None:
    """Load ``state`` into ``module``, with the usual prefixes taken off where that makes it fit.

    Raises:
        SourceError: keys are missing, unexpected or of another shape; names them.
    """
    wanted = module.state_dict()
    state = _fitting(state, set(wanted))
    missing = [key for key in wanted if key not in state]
    unexpected = [key for key in state if key not in wanted]
    shapes = [
        f"{key} is {list(state[key].shape)}, the model has {list(wanted[key].shape)}"
        for key in wanted
        if key in state and isinstance(wanted[key], Tensor) and state[key].shape != wanted[key].shape
    ]
    told = [f"missing: {_some(missing)}"] if missing else []
    told += [f"unexpected: {_some(unexpected)}"] if unexpected else []
    told += [f"other shapes: {_some(shapes)}"] if shapes else []
    if told:
        raise SourceError(
            f"the weights in {origin} don't fit {type(module).__name__}: {'; '.join(told)}",
            hint="name the architecture that they were trained with, built with the same arguments",
        )
    module.load_state_dict(state)


def _fitting(state: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
    """Try the state as it is, then with prefixes off; keep what covers most keys."""
    tried = [state]
    for prefix in _PREFIXES:
        if state and all(key.startswith(prefix) for key in state):
            tried.append({key.removeprefix(prefix): value for key, value in state.items()})
        elif any(key.startswith(prefix) for key in state):
            tried.append({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    return max(tried, key=lambda each: len(wanted & set(each)))


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:6])
    return f"{shown} and {len(names) - 6} more" if len(names) > 6 else shown
