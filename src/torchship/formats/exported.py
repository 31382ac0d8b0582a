"""Looks at torch.export's ``.pt2``: JSON that torch evaluates parts of, and pickles that it opens without a check."""

from __future__ import annotations

import dataclasses
import io
import math
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from torchship.errors import MalformedError, UnsafeError
from torchship.formats import checkpoints, program_text, zips
from torchship.formats.findings import Findings, Tensor
from torchship.formats.pickles import keys_in
from torchship.formats.torch_rules import WEIGHTS

KIND = "torch.export program"
COMPILED = "AOTInductor package"
_MAX_JSON = 256 << 20
_MAX_NESTED = 4 << 30
_DTYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64",
    10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16", 34: "uint32", 35: "uint64",
}  # fmt: skip
_SIZES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 2, 7: 4, 8: 8, 9: 4, 10: 8, 11: 16, 12: 1, 13: 2, 28: 2, 29: 1, 30: 1, 31: 1,
    32: 1, 33: 1, 34: 4, 35: 8,
}  # fmt: skip
_PROGRAM = re.compile(r"models/[\w.-]+\.json|serialized_exported_program\.json")
_CONFIG = re.compile(r"data/(weights|constants)/[\w.-]+_config\.json")
_NUMBERS = re.compile(r"data/(weights|constants)/(weight|tensor)_\d+")
_PICKLED = re.compile(
    r"data/(weights|constants|sample_inputs)/[\w.-]+\.pt|serialized_(state_dict|constants|example_inputs)\.(pt|json)"
)
_PLAIN_TEXT = re.compile(r"archive_format|archive_version|version|byteorder|\.data/\w+|extra/.+|extra_files/.+")
_COMPILED = re.compile(r"data/aotinductor/.+")
_STRICT = dataclasses.replace(WEIGHTS, inert=None)  # torch itself opens these, and knows nothing of our shells
_SYMBOL = re.compile(r"Symbol\('(\w+)'")


class Size(msgspec.Struct, frozen=True):
    """A number; torch's SymInt, which may also be an expression."""

    as_int: int | None = None


class TensorMeta(msgspec.Struct, frozen=True):
    """As much of torch's TensorMeta as tells how many bytes it needs."""

    dtype: int
    sizes: tuple[Size, ...]
    strides: tuple[Size, ...]
    storage_offset: Size


class Payload(msgspec.Struct, frozen=True):
    """Where a weight or constant lies; torch's PayloadMeta."""

    path_name: str
    use_pickle: bool
    tensor_meta: TensorMeta | None = None


def look(file: BinaryIO, members: dict[str, zips.Member]) -> Findings:
    """Look at a program; ``members`` by their names without the archive's own folder.

    Raises:
        UnsafeError, MalformedError: a pickle in it would run code, or something is damaged.
    """
    reasons: list[str] = []
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    for name, member in members.items():
        if _PROGRAM.fullmatch(name):
            document = _json(file, member)
            reasons += [f"{name} {why}" for why in program_text.reasons(document)]
            inputs, outputs = _call(document)
        else:
            reasons += _beside(file, name, members)
    kind = KIND if any(_PROGRAM.fullmatch(name) for name in members) else COMPILED
    return Findings(kind, tuple(dict.fromkeys(reasons)), inputs, outputs)


def _beside(file: BinaryIO, name: str, members: dict[str, zips.Member]) -> Iterator[str]:
    """What speaks against a member that isn't the program."""
    member = members[name]
    if _CONFIG.fullmatch(name):
        document = _json(file, member)
        yield from (f"{name} {why}" for why in program_text.reasons(document))
        for payload in _payloads(document, name):
            _check_payload(file, payload, name, members)
    elif _PICKLED.fullmatch(name):
        _look_nested(zips.read(file, member, _MAX_NESTED) if member.size else b"", name)
    elif _COMPILED.fullmatch(name):
        yield f"holds code: {name}"
    elif not _NUMBERS.fullmatch(name) and not _PLAIN_TEXT.fullmatch(name):
        yield f"holds {name!r}, which no program has"


def _payloads(document: Any, name: str) -> list[Payload]:
    try:
        return list(msgspec.convert(document, dict[str, dict[str, Payload]])["config"].values())
    except (msgspec.ValidationError, KeyError) as error:
        raise MalformedError(f"{name} doesn't say where the weights lie: {error}") from error


def _check_payload(file: BinaryIO, payload: Payload, name: str, members: dict[str, zips.Member]) -> None:
    """Hold a weight's declaration against the file that it lies in.

    Raises:
        UnsafeError: it isn't a tensor. MalformedError: it isn't there, or is smaller than it should be.
    """
    place = f"{name.rpartition('/')[0]}/{payload.path_name}"
    if not _NUMBERS.fullmatch(place):
        raise UnsafeError(f"{name} names {payload.path_name!r}, an object that only its own code can read")
    if place not in members:
        raise MalformedError(f"{name} names {place}, which isn't there")
    if payload.use_pickle:  # what torch can't write as plain numbers
        _look_nested(zips.read(file, members[place], _MAX_NESTED), place)
        return
    meta = payload.tensor_meta
    if meta is None or meta.dtype not in _SIZES:
        raise MalformedError(f"{name} doesn't say what {place} holds")
    sizes, strides = [_whole(size) for size in meta.sizes], [_whole(stride) for stride in meta.strides]
    if len(sizes) != len(strides):
        raise MalformedError(f"{name} has sizes and strides for {place} that don't fit each other")
    last = _whole(meta.storage_offset) + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    if math.prod(sizes) and (last + 1) * _SIZES[meta.dtype] > members[place].size:
        raise MalformedError(f"{name} declares {sizes} numbers for {place}, which has {members[place].size} bytes")


def _whole(size: Size) -> int:
    if size.as_int is None or not 0 <= size.as_int < 1 << 62:
        raise MalformedError("a weight has no size")
    return size.as_int


def _look_nested(raw: bytes, name: str) -> None:
    """Look at what torch pickled within the archive; raises UnsafeError and MalformedError."""
    if not raw:
        return
    if zips.is_zip(raw[:4]):
        file = io.BytesIO(raw)
        found = checkpoints.read_zip(file, zips.without_root(zips.members(file)), _STRICT)
    else:
        found = checkpoints.read_legacy(raw, _STRICT)
    for key in keys_in(found.value):
        if not program_text.PLAIN.fullmatch(key):
            raise UnsafeError(f"{name} has a key that torch would take for code: {key[:80]!r}")


def _json(file: BinaryIO, member: zips.Member) -> Any:
    return program_text.parse(zips.read(file, member, _MAX_JSON), member.name)


def _call(document: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The user's inputs and outputs."""
    try:
        module = document["graph_module"]
        values = module["graph"]["tensor_values"]
        specs = [spec["user_input"]["arg"] for spec in module["signature"]["input_specs"] if "user_input" in spec]
        results = [spec["user_output"]["arg"] for spec in module["signature"]["output_specs"] if "user_output" in spec]
        return tuple(_tensors(specs, values)), tuple(_tensors(results, values))
    except (KeyError, TypeError, AttributeError) as error:
        raise MalformedError("the program has no signature") from error


def _tensors(arguments: list[Any], values: dict[str, Any]) -> Iterator[Tensor]:
    for argument in arguments:
        if "as_tensor" in argument:
            name = argument["as_tensor"]["name"]
            meta = values[name]
            yield Tensor(name, _DTYPES.get(meta["dtype"]), tuple(_size(size) for size in meta["sizes"]))


def _size(size: dict[str, Any]) -> int | str:
    if "as_int" in size:
        return int(size["as_int"])
    expression = str(size["as_expr"]["expr_str"])
    symbol = _SYMBOL.fullmatch(expression.partition(",")[0])
    return symbol[1] if symbol is not None else expression
