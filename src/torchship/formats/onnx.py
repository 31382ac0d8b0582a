"""Reads what an ``.onnx`` file says of itself, from the protobuf alone: no onnx package, no runtime, nothing opened.

Field numbers are those of onnx.proto (onnx/onnx.proto3, IR version 10 and before).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from torchship.errors import MalformedError, UnsafeError
from torchship.formats.cycles import has_cycle
from torchship.formats.onnx_tensors import External, read_tensor
from torchship.formats.protobuf import BYTES, VARINT, fields, text
from torchship.signature import Dim, TensorSpec

_DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16",
    11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
}  # fmt: skip
_OWN_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "com.microsoft"}
_MAX_DEPTH = 50  # graphs within graphs


@dataclasses.dataclass
class Contents:
    """What a model holds. ``domains``: of the operators that are neither ONNX's own nor defined in the model.

    ``calls``: the operators that each of the model's own functions uses.
    """

    inputs: list[TensorSpec] = dataclasses.field(default_factory=list)
    outputs: list[TensorSpec] = dataclasses.field(default_factory=list)
    external: list[External] = dataclasses.field(default_factory=list)
    operators: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    functions: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    unreadable: list[str] = dataclasses.field(default_factory=list)
    calls: dict[tuple[str, str], set[tuple[str, str]]] = dataclasses.field(default_factory=dict)

    @property
    def domains(self) -> list[str]:
        """Domains whose operators somebody else's library would have to bring."""
        foreign = {
            domain
            for domain, name in self.operators
            if domain not in _OWN_DOMAINS and (domain, name) not in self.functions
        }
        return sorted(foreign)

    @property
    def dims(self) -> tuple[Dim, ...]:
        """The named dims of the inputs."""
        names = dict.fromkeys(size for spec in self.inputs for size in spec.shape if isinstance(size, str))
        return tuple(Dim(name) for name in names)


def looks_like(raw: memoryview) -> bool:
    """Whether ``raw`` parses as a model: known fields only, with a version, an operator set and a graph."""
    try:
        seen = {number for number, *_ in fields(raw)}
    except MalformedError:
        return False
    return {1, 7, 8} <= seen <= {1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26}


def may_keep_data_elsewhere(raw: memoryview) -> bool:
    """Whether a tensor could name another file: a search, far quicker than parsing, that never misses one."""
    return re.search(rb"location", raw) is not None


def read(raw: memoryview) -> Contents:
    """Read a model; raises MalformedError."""
    contents = Contents()
    initializers: set[str] = set()
    for number, wire, _, payload in fields(raw):
        if number == 7 and wire == BYTES:
            _graph(payload, contents, initializers, 0)
        elif number == 25 and wire == BYTES:
            _function(payload, contents)
        elif number == 20 and wire == BYTES:
            raise MalformedError("the model holds training graphs, which are not read")
    contents.inputs = [spec for spec in contents.inputs if spec.name not in initializers]
    return contents


def check(raw: memoryview, folder: Path) -> Contents:
    """Read a model and see that it stays in ``folder``.

    Raises:
        UnsafeError: it reaches outside the folder, or needs somebody else's operators.
        MalformedError: it is no ONNX model, or declares data that isn't there.
    """
    contents = read(raw)
    if reasons := reasons_against(contents, folder):
        raise UnsafeError(f"the ONNX model {reasons[0]}", where=str(folder))
    return contents


def reasons_against(contents: Contents, folder: Path) -> list[str]:
    """Say what speaks against opening the model, a sentence each."""
    reasons = list(contents.unreadable)
    if has_cycle(contents.calls):
        reasons.append("has functions that call themselves, over and over")
    outside = ((external.location, _outside(external, folder)) for external in contents.external)
    reasons += [f"keeps data in {location!r}, {why}" for location, why in outside if why]
    reasons += [
        f"needs the operators of {domain!r}, which only a foreign library brings" for domain in contents.domains
    ]
    return list(dict.fromkeys(reasons))


def _outside(external: External, folder: Path) -> str | None:
    parts = external.location.split("/")
    if not external.location or "\\" in external.location or "\0" in external.location or parts[0].endswith(":"):
        return "which is no plain path"
    if any(part in ("", ".", "..") for part in parts):
        return "which leaves the model's folder"
    path = folder
    for part in parts:
        path = path / part
        if path.is_symlink():
            return "which is a link"
    if not path.is_file():
        return "which is not there, or no plain file"
    size = path.stat().st_size
    if external.offset + (external.length or 0) > size:
        return f"beyond its end ({size} bytes)"
    return None


def _graph(graph: memoryview, contents: Contents, initializers: set[str], depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise MalformedError(f"graphs lie in graphs more than {_MAX_DEPTH} deep")
    makers: dict[str, tuple[str, ...]] = {}
    for number, wire, _, payload in fields(graph):
        if wire != BYTES:
            continue
        if number == 1:
            inputs, outputs = _node(payload, contents, depth)
            makers.update(dict.fromkeys(outputs, inputs))
        elif number == 5:
            initializers.add(_tensor(payload, contents))
        elif number == 15:
            _sparse(payload, contents)
        elif number in (11, 12) and depth == 0:
            (contents.inputs if number == 11 else contents.outputs).append(_value(payload, contents))
    if has_cycle(makers):
        contents.unreadable.append("has values that depend on themselves")


def _node(node: memoryview, contents: Contents, depth: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the names of what it takes and of what it makes."""
    domain = operator = ""
    names: dict[int, list[str]] = {1: [], 2: []}
    for number, wire, _, payload in fields(node):
        if wire != BYTES:
            continue
        if number in names:
            names[number].append(text(payload))
        elif number == 4:
            operator = text(payload)
        elif number == 7:
            domain = text(payload)
        elif number == 5:
            _attribute(payload, contents, depth)
    contents.operators.add((domain, operator))
    return tuple(filter(None, names[1])), tuple(filter(None, names[2]))


def _attribute(attribute: memoryview, contents: Contents, depth: int) -> None:
    for number, wire, _, payload in fields(attribute):
        if wire != BYTES:
            continue
        if number in (5, 10):
            _tensor(payload, contents)
        elif number in (6, 11):
            _graph(payload, contents, set(), depth + 1)
        elif number in (22, 23):
            _sparse(payload, contents)


def _function(function: memoryview, contents: Contents) -> None:
    name = domain = ""
    before, contents.operators = contents.operators, set()
    for number, wire, _, payload in fields(function):
        if wire != BYTES:
            continue
        if number == 1:
            name = text(payload)
        elif number == 10:
            domain = text(payload)
        elif number == 7:
            _node(payload, contents, 0)
        elif number == 11:
            _attribute(payload, contents, 0)
    contents.functions.add((domain, name))
    contents.calls[domain, name] = contents.operators
    contents.operators |= before


def _sparse(tensor: memoryview, contents: Contents) -> None:
    for number, wire, _, payload in fields(tensor):
        if number in (1, 2) and wire == BYTES:
            _tensor(payload, contents)


def _tensor(tensor: memoryview, contents: Contents) -> str:
    """Note where a tensor's data lies, if elsewhere, and whether it is there; give its name."""
    found = read_tensor(tensor)
    if found.external is not None:
        contents.external.append(found.external)
    if found.complaint:
        contents.unreadable.append(found.complaint)
    return found.name


def _value(value: memoryview, contents: Contents) -> TensorSpec:
    """A graph's input or output: ValueInfoProto, of a tensor."""
    name, dtype, shape = "", "", None
    for number, wire, _, payload in fields(value):
        if number == 1 and wire == BYTES:
            name = text(payload)
        elif number == 2 and wire == BYTES:
            for kind, inner, _, tensor in fields(payload):
                if kind != 1 or inner != BYTES:
                    raise MalformedError(f"{name!r} is no tensor (a sequence, a map or an optional)")
                dtype, shape = _tensor_type(tensor, name)
    if shape is None:
        contents.unreadable.append(f"doesn't say which shape {name!r} has")
    return TensorSpec(name, dtype, tuple(shape or ()))


def _tensor_type(tensor: memoryview, name: str) -> tuple[str, list[int | str] | None]:
    dtype, shape = 0, None
    for number, wire, value, payload in fields(tensor):
        if number == 1 and wire == VARINT:
            dtype = value
        elif number == 2 and wire == BYTES:
            shape = [_dim(dim, name, axis) for axis, dim in enumerate(_dims(payload))]
    if dtype not in _DTYPES:
        raise MalformedError(f"{name!r} has elements of ONNX type {dtype}, which no array carries")
    return _DTYPES[dtype], shape


def _dims(shape: memoryview) -> Iterator[memoryview]:
    return (payload for number, wire, _, payload in fields(shape) if number == 1 and wire == BYTES)


def _dim(dim: memoryview, name: str, axis: int) -> int | str:
    for number, wire, value, payload in fields(dim):
        if number == 1 and wire == VARINT and value < 1 << 63:
            return value
        if number == 2 and wire == BYTES and len(payload):
            return text(payload)
    return f"{name}_{axis}"
