"""Looks at torch.export's ``.pt2``: JSON that torch evaluates parts of, and pickles that it opens without a check."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from torchship.errors import MalformedError
from torchship.formats import checkpoints, zips
from torchship.formats.expressions import is_plain
from torchship.formats.findings import Findings, Tensor

KIND = "torch.export program"
COMPILED = "AOTInductor package"
_MAX_JSON = 256 << 20
_DTYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64",
    10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16", 34: "uint32", 35: "uint64",
}  # fmt: skip
_TARGET = re.compile(
    r"torch\.ops\.(aten|prims|prim|higher_order|quantized|quantized_decomposed|torchao|onednn|mkldnn)\.\w+(\.\w+)?|"
    r"_operator\.(add|sub|mul|truediv|floordiv|mod|pow|neg|pos|lt|le|gt|ge|eq|ne|and_|or_|not_|getitem|lshift|rshift)|"
    r"math\.(floor|ceil|trunc|sqrt|pow|log|exp)|torch\.sym_(int|float|max|min|not|ite|sum|sqrt)|torch\._sym_sqrt|"
    r"torch\._check|torch\._C\._\w+_grad_enabled"
)
_FILES = re.compile(r"\.(from_file|save|load)\b")
_SYMBOL = re.compile(r"Symbol\('(\w+)'")


def look(file: BinaryIO, members: dict[str, zips.Member]) -> Findings:
    """Look at a program; ``members`` by their names without the archive's own folder.

    Raises:
        UnsafeError, MalformedError: a pickle in it would run code, or something is damaged.
    """
    reasons = [why for name, member in members.items() for why in _member(file, name, member, members)]
    models = [name for name in members if re.fullmatch(r"models/[^/]+\.json", name)]
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    for name in models:
        document = _json(file, members[name])
        reasons += [f"{name} {why}" for why in _evaluated(document)]
        inputs, outputs = _call(document)
    kind = KIND if models else COMPILED
    return Findings(kind, tuple(dict.fromkeys(reasons)), inputs, outputs)


def _member(file: BinaryIO, name: str, member: zips.Member, members: dict[str, zips.Member]) -> Iterator[str]:
    if name.endswith((".so", ".o", ".dylib", ".dll", ".cubin", ".cpp", ".py")):
        yield f"holds code: {name}"
    elif name.endswith((".pt", ".pkl")) and member.size:
        _look_nested(zips.read(file, member, _MAX_JSON))
    elif name.endswith("_config.json"):
        pickled = [
            value for value in _values(_json(file, member)) if isinstance(value, dict) and value.get("use_pickle")
        ]
        for payload in pickled:  # what torch can't write as plain numbers lies beside its configuration
            place = f"{name.rpartition('/')[0]}/{payload.get('path_name')}"
            if place not in members:
                raise MalformedError(f"{name} names {place}, which isn't there")
            _look_nested(zips.read(file, members[place], _MAX_JSON))


def _look_nested(raw: bytes) -> None:
    """Look at weights that lie within the archive; raises UnsafeError and MalformedError."""
    if zips.is_zip(raw[:4]):
        file = io.BytesIO(raw)
        checkpoints.look_zip(file, zips.without_root(zips.members(file)))
    elif checkpoints.is_legacy(raw[:64]):
        checkpoints.look_legacy(raw)
    else:
        checkpoints.look_pickle(raw)


def _json(file: BinaryIO, member: zips.Member) -> Any:
    try:
        return msgspec.json.decode(zips.read(file, member, _MAX_JSON))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError(f"{member.name} in the archive is no JSON: {error}") from error


def _values(document: Any) -> Iterator[Any]:
    """Every value in a JSON document."""
    pending = [document]
    while pending:
        value = pending.pop()
        yield value
        if isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


def _evaluated(document: Any) -> Iterator[str]:
    """What torch would evaluate or look up by name, and isn't plain."""
    for value in _values(document):
        if not isinstance(value, dict):
            continue
        expression, target = value.get("expr_str"), value.get("target")
        if expression is not None and not (isinstance(expression, str) and is_plain(expression)):
            yield f"holds an expression that doesn't only compute sizes: {str(expression)[:80]!r}"
        if "inputs" in value and isinstance(target, str) and (not _TARGET.fullmatch(target) or _FILES.search(target)):
            yield f"calls {target[:80]!r}, which no model needs"
    root = document if isinstance(document, dict) else {}
    for code in (*(root.get("guards_code") or ()), *(root.get("range_constraints") or ())):
        if not isinstance(code, str) or not is_plain(code):
            yield f"holds a guard that doesn't only compare sizes: {str(code)[:80]!r}"


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
