"""What the user named: parsed without opening anything, so that it can be hashed before torch is imported."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from torchship.errors import UsageError
from torchship.signature import Dim, numpy_dtype

_PYTHON_FILE = re.compile(r"^(?P<file>.+\.py):(?P<name>[A-Za-z_][\w.]*)$")
_PYTHON_MODULE = re.compile(r"^(?P<module>[A-Za-z_]\w*(\.\w+)*):(?P<name>[A-Za-z_][\w.]*)$")
_INPUT = re.compile(r"^(?P<name>[\w.]+):(?P<dtype>\w+)\[(?P<dims>[^\]]*)\]$")
_RANGE = re.compile(r"^(?P<name>[A-Za-z_]\w*)(=(?P<min>\d+)\.\.(?P<max>\d+)?)?$")


class PythonObject(msgspec.Struct, frozen=True):
    """``file.py:NAME`` or ``package.module:NAME``; exactly one of ``file`` and ``module`` is set."""

    name: str
    file: str | None = None
    module: str | None = None

    def __str__(self) -> str:
        return f"{self.file or self.module}:{self.name}"


class InputSpec(msgspec.Struct, frozen=True):
    """``--input NAME:DTYPE[DIM,…]``: sizes, or dims by name."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    dims: tuple[Dim, ...] = ()


class Source(msgspec.Struct, frozen=True, tag=True):
    """A source as the user named it. Exactly one of ``python`` and ``file`` is set."""

    text: str
    python: PythonObject | None = None
    file: str | None = None
    model: PythonObject | None = None
    inputs: tuple[InputSpec, ...] = ()
    example: str | None = None
    allow: tuple[str, ...] = ()


def parse(
    text: str,
    *,
    model: str | None = None,
    inputs: tuple[str, ...] = (),
    example: str | None = None,
    allow: tuple[str, ...] = (),
) -> Source:
    """Read what stands on the command line. Raises UsageError where it names nothing, or a file that isn't there."""
    python = python_object(text)
    if python is None and not Path(text).exists():
        raise UsageError(
            f"no such source: {text}",
            hint="name a file (.pth, .safetensors, .pt2, .onnx …), file.py:NAME or package.module:NAME",
        )
    if python is None and text.endswith(".py"):
        raise UsageError(f"{text} is a Python file", hint=f"name the module or the function in it: {text}:NAME")
    if example is not None and not Path(example).is_file():
        raise UsageError(f"no such example file: {example}", hint="an .npz with an array per input name")
    architecture = None
    if model is not None:
        architecture = python_object(model)
        if architecture is None:
            raise UsageError(f"--model {model} is not file.py:NAME nor package.module:NAME")
    return Source(
        text,
        python=python,
        file=None if python else text,
        model=architecture,
        inputs=tuple(input_spec(spec) for spec in inputs),
        example=example,
        allow=allow,
    )


def python_object(text: str) -> PythonObject | None:
    """Parse ``file.py:NAME`` or ``package.module:NAME``; None where it is neither.

    Raises:
        UsageError: the file isn't there.
    """
    if found := _PYTHON_FILE.match(text):
        if not Path(found["file"]).is_file():
            raise UsageError(f"no such file: {found['file']}", where=text)
        return PythonObject(found["name"], file=str(Path(found["file"]).resolve()))
    if (found := _PYTHON_MODULE.match(text)) and not Path(text).exists():
        return PythonObject(found["name"], module=found["module"])
    return None


def input_spec(text: str) -> InputSpec:
    """Parse ``NAME:DTYPE[DIM,…]``, a DIM being a number, a name, or a name with its range ``batch=1..64``."""
    found = _INPUT.match(text.replace(" ", ""))
    if found is None:
        raise UsageError(
            f"--input {text} is not NAME:DTYPE[DIM,…]", hint="for example --input x:float32[batch=1..64,3,224,224]"
        )
    numpy_dtype(found["dtype"])
    shape: list[int | str] = []
    dims: list[Dim] = []
    for part in filter(None, found["dims"].split(",")):
        if part.isdigit():
            shape.append(int(part))
            continue
        ranged = _RANGE.match(part)
        if ranged is None:
            raise UsageError(
                f"--input {text}: {part!r} is no size and no dim",
                hint="a number, a name, or a name with its range: batch=1..64",
            )
        shape.append(ranged["name"])
        low = int(ranged["min"] or 1)
        high = int(ranged["max"]) if ranged["max"] else None
        if high is not None and high < low:
            raise UsageError(f"--input {text}: the range {low}..{high} is empty")
        dims.append(Dim(ranged["name"], low, high))
    return InputSpec(found["name"], found["dtype"], tuple(shape), tuple(dims))
