"""Reads what torch saved, after its pickle was held against the rules; no name is looked up that they don't know.

``torch.load(weights_only=True)`` reads plain weights. What it doesn't know and the rules do (another protocol, numpy's
numbers, whole modules) is read by an unpickler that resolves nothing but what the rules know.
"""

from __future__ import annotations

import importlib
import inspect
import pickle
import sys
import types
import warnings
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import torch

from torchship.errors import MalformedError, SourceError, TorchshipError, UnsafeError
from torchship.formats import checkpoints, zips
from torchship.formats.pickles import Global, modern
from torchship.formats.rules import Rules, may_allow
from torchship.models.openers.python import user_line

_MAPPED = 256 << 20  # bytes from which a file is mapped, not read: its numbers are copied into the module anyway


def load(path: Path, rules: Rules, home: types.ModuleType | None = None) -> Any:
    """Read a file that ``rules`` permit, onto the CPU; ``home`` is where the classes of ``__main__`` are.

    Raises:
        UnsafeError: it names or calls what the rules don't permit; nothing was imported or called.
        MalformedError: it is damaged. SourceError: a class that it needs isn't there, or raises.
    """
    checkpoints.read(path, rules)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if rules.allowed or rules.classes is not None:
                return _open(path, weights_only=False, pickle_module=_pickle_module(rules, home))
            return _weights_only(path, rules)
        except TorchshipError:
            raise
        except Exception as error:
            if line := user_line(error):
                raise SourceError(f"{path.name}: {type(error).__name__}: {error}", where=line) from error
            raise MalformedError(
                f"{path} can't be read: {type(error).__name__}: {str(error)[:200]}", hint="is it whole? save it again"
            ) from error


def _weights_only(path: Path, rules: Rules) -> Any:
    try:
        return _open(path, weights_only=True)
    except pickle.UnpicklingError:  # the file keeps to our rules: it says what torch's own reader doesn't know
        return _open(path, weights_only=False, pickle_module=_pickle_module(rules, None))


def _open(path: Path, **how: Any) -> Any:
    """By content: ``torch.load`` takes the extension of a path for its format."""
    with path.open("rb") as stream:
        if path.stat().st_size > _MAPPED and path.suffix != ".safetensors" and _is_mappable(stream):
            return torch.load(path, map_location="cpu", mmap=True, **how)
        stream.seek(0)
        return torch.load(stream, map_location="cpu", **how)


def _is_mappable(stream: BinaryIO) -> bool:
    """Whether it is an archive whose numbers lie in it as they are."""
    head = stream.read(4)
    return zips.is_zip(head) and all(member.method == zipfile.ZIP_STORED for member in zips.members(stream))


def _pickle_module(rules: Rules, home: types.ModuleType | None) -> Any:
    """What ``torch.load`` wants in the place of ``pickle``."""

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            return _resolve(modern(module, name), rules, home)

    def read(file: Any, **how: Any) -> Any:
        return Unpickler(file, **how).load()

    return types.SimpleNamespace(__name__="torchship", Unpickler=Unpickler, load=read)


class Shell:
    """Stands in for an object of settings that nobody needs: keeps nothing, does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...

    def __setitem__(self, _: Any, __: Any) -> None: ...

    def append(self, _: Any) -> None:
        """Keep nothing."""

    def extend(self, _: Any) -> None:
        """Keep nothing."""


def _resolve(wanted: Global, rules: Rules, home: types.ModuleType | None) -> Any:
    full = str(wanted)
    if not rules.knows(full):
        raise UnsafeError(f"the file names {full}, which nobody allowed")
    if rules.is_inert(full):
        return Shell
    found = _lookup(wanted, home if wanted.module == "__main__" else None)
    if rules.is_class(full) and not (inspect.isclass(found) and found.__module__.startswith("torch.nn.")):
        raise UnsafeError(f"{full} is no class of torch's")
    if full in rules.allowed and not _is_own(found):
        raise UnsafeError(f"--allow {full} is no class nor function of that package", hint="name the class itself")
    return found


def _lookup(wanted: Global, home: types.ModuleType | None) -> Any:
    if "" not in sys.path:
        sys.path.insert(0, "")  # as for package.module:NAME
    try:
        found: Any = home or importlib.import_module(wanted.module)
        for part in wanted.name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        own = wanted.module == "__main__"
        hint = f"--model FILE.py:{wanted.name} says where it is defined" if own else "install its package"
        raise SourceError(f"the file needs {wanted}, which isn't here: {error}", hint=hint) from error
    return found


def _is_own(found: Any) -> bool:
    """A class or a function, and not one that its module only borrows from what may never be allowed."""
    usual = inspect.isclass(found) or inspect.isroutine(found)
    return usual and may_allow(f"{getattr(found, '__module__', '') or ''}.x")
