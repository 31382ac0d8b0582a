"""A TorchScript archive: opened by ``torch.jit`` once its pickles and its code were looked at."""

from __future__ import annotations

import typing
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from torchship.errors import SourceError, UsageError
from torchship.formats import recognise, torchscript
from torchship.models import draw
from torchship.models.flat import define
from torchship.models.model import Description
from torchship.models.source import InputSpec, Source
from torchship.targets.builder import Form

RANK = 60
_NO_PYTHON = "torch.export reads Python, and a TorchScript archive has none"
_TYPES = {name: getattr(typing, name) for name in ("Any", "Dict", "List", "Optional", "Tuple", "Union")} | {
    "Tensor": Tensor,
    "NoneType": type(None),
    "number": typing.Union[int, float, complex],  # noqa: UP007 - torch.jit.script reads this form alone
    "Device": torch.device,
}
_PLAIN = (type(None), bool, int, float, str)


def recognises(source: Source) -> bool:
    """Archives with code of TorchScript."""
    return source.file is not None and recognise.kind_of(Path(source.file)) == torchscript.KIND


def describe(source: Source) -> Description:
    """Look into the archive, open it, and read from its schema how it is called.

    Raises:
        UnsafeError: its pickles or its code could do more than compute.
        SourceError: torch can't open it. UsageError: it has no example inputs, or is told what it knows better.
    """
    path = Path(str(source.file))
    if source.model is not None:
        raise UsageError(f"{path} brings its own code", hint="leave --model out")
    recognise.check(path, torchscript.KIND)
    script = _opened(path)
    arguments = _arguments(script, path)
    args: tuple[Any, ...] | None = None
    notes: tuple[str, ...] = ()
    if not source.inputs and source.example is None:
        args, notes = _traced(path, arguments)
    return Description(_module(script, arguments), args, notes=notes, closed={Form.EXPORTED: _NO_PYTHON})


def _opened(path: Path) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call, no-any-return]
        except Exception as error:
            told = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise SourceError(
                f"torch {torch.__version__} can't open {path}: {told[:300]}", hint="save it anew with torch.jit.save"
            ) from error


def _arguments(script: torch.jit.ScriptModule, path: Path) -> list[Any]:
    """The arguments of ``forward`` as its schema has them, without ``self``."""
    try:
        return list(script.forward.schema.arguments)[1:]  # type: ignore[attr-defined]
    except (AttributeError, RuntimeError) as error:
        raise SourceError(
            f"{path} has no forward that could be called", hint="script a module with a forward"
        ) from error


def _module(script: torch.jit.ScriptModule, arguments: list[Any]) -> nn.Module:
    """A module whose ``forward`` has the schema's names, types and defaults: a script's own shows none of them."""
    parameters = ", ".join(_parameter(each) for each in arguments)
    names = ", ".join(each.name for each in arguments)
    code = f"def forward(self, {parameters}):\n    return self.script({names})\n"
    name = str(getattr(script, "original_name", "") or "Script")
    module: nn.Module = type(name, (nn.Module,), {"forward": define(code, "forward", dict(_TYPES))})()
    module.script, module.training = script, bool(getattr(script, "training", False))
    return module


def _parameter(argument: Any) -> str:
    typed = f"{argument.name}: {_annotation(argument)}"
    plain = argument.has_default_value() and isinstance(argument.default_value, _PLAIN)
    return f"{typed} = {argument.default_value!r}" if plain else typed


def _annotation(argument: Any) -> str:
    told = str(argument.type.annotation_str)
    if "__torch__" in told:
        raise SourceError(f"the argument {argument.name} is a {told}, which nobody outside the archive can make")
    return told


def _traced(path: Path, arguments: list[Any]) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """Examples of the sizes that it was traced with, where it was; raises UsageError where it was not."""
    found = torchscript.traced_inputs(path)
    if not found or len(found) > len(arguments):
        call = ", ".join(_parameter(each) for each in arguments)
        raise UsageError(
            f"{path} comes without example inputs: forward({call})",
            hint="--input NAME:DTYPE[DIM,…] for each tensor, or --example FILE.npz",
        )
    generator = torch.Generator().manual_seed(0)
    drawn = tuple(draw.example(InputSpec("input", each.dtype, each.shape), {}, generator) for each in found)
    return drawn, ("the example inputs were drawn, of the sizes that it was traced with",)
