"""``file.py:NAME`` and ``package.module:NAME``: a module, a callable that makes one, or the contract's source dict."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

import torchship
from torchship.errors import SourceError, UsageError
from torchship.models.described import described
from torchship.models.model import Description
from torchship.models.source import PythonObject, Source

RANK = 10
_OURS = Path(torchship.__file__).parent


def recognises(source: Source) -> bool:
    """Every source that names a Python object."""
    return source.python is not None


def describe(source: Source) -> Description:
    """Import it and call it where it is callable."""
    assert source.python is not None
    return described(build(source.python), str(source.python))


def build(wanted: PythonObject) -> Any:
    """Give the object that ``wanted`` names, called where it is a class or a function that makes one.

    Raises:
        UsageError: the file has no such name.
        SourceError: the user's code raised; says its own last line and place.
    """
    found = named(wanted)
    if isinstance(found, nn.Module) or not callable(found):
        return found
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise SourceError(
            f"{wanted} can't be called without arguments: {error}",
            hint="name a module, or a function without arguments that returns one",
        ) from error
    return _guarded(found, f"calling {wanted}")


def named(wanted: PythonObject) -> Any:
    """Import the file or module and give the object called so, uncalled."""
    space: Any = imported(wanted)
    for part in wanted.name.split("."):
        if not hasattr(space, part):
            offered = [name for name in vars(space) if not name.startswith("_")] if hasattr(space, "__dict__") else []
            raise UsageError(
                f"{wanted.file or wanted.module} has no {wanted.name!r}", hint=f"it has: {', '.join(offered[:20])}"
            )
        space = getattr(space, part)
    return space


def imported(wanted: PythonObject) -> ModuleType:
    """Import the file or module of ``wanted``. Raises SourceError where its own code does."""
    found: ModuleType = _guarded(lambda: _imported(wanted), f"importing {wanted.file or wanted.module}")
    return found


def _imported(wanted: PythonObject) -> ModuleType:
    if wanted.module is not None:
        if "" not in sys.path:
            sys.path.insert(0, "")
        return importlib.import_module(wanted.module)
    file = Path(str(wanted.file))
    sys.path.insert(0, str(file.parent))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def _guarded(call: Any, doing: str) -> Any:
    """Call the user's code; what it raises is told with its own file and line."""
    try:
        return call()
    except SystemExit as error:
        raise SourceError(f"{doing}: the code called exit({error.code})", where=user_line(error)) from error
    except Exception as error:
        raise SourceError(f"{doing} failed: {type(error).__name__}: {error}", where=user_line(error)) from error


def user_line(error: BaseException) -> str | None:
    """``file.py:12 in name`` of the deepest frame that is the user's own; None where there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}"
    mine = [frame for frame in frames if is_user_file(frame.filename)]
    return f"{Path(mine[-1].filename).name}:{mine[-1].lineno} in {mine[-1].name}" if mine else None


def is_user_file(file: str) -> bool:
    """Tell the user's code from Python's, the packages' and our own."""
    foreign = ("site-packages", "dist-packages", str(_OURS), sys.base_prefix)
    return not any(part in file for part in foreign) and not file.startswith("<")
