"""The texts in a ``.pt2``'s JSON, each held against what it may be.

torch looks operators up by their names, evaluates sizes and guards, writes the names of values into Python code that
it compiles, and imports what a tree of the call names (torch/_export/serde/serialize.py, torch/fx/graph.py,
torch/utils/_pytree.py of 2.13). So no text may be more than it says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from torchship.errors import MalformedError
from torchship.formats.expressions import is_guard, is_size

PLAIN = re.compile(r"[^'\"\\\x00-\x1f\x7f]{0,10000}")
_NAME = re.compile(r"\w{0,1000}")
_QUOTING = re.compile(r"[^\"\\\x00-\x1f\x7f]{0,10000}")  # an operator's own argument, which torch quotes
_TRACE = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f]*")
_TARGET = re.compile(
    r"torch\.ops\.(aten|prims|prim|quantized|quantized_decomposed|torchao|onednn|mkldnn|torchvision)\.\w+(\.\w+)?"
    r"|torch\.ops\.higher_order\.(cond|while_loop|scan|map|map_impl|associative_scan|wrap_with_set_grad_enabled|"
    r"wrap_with_autocast|flex_attention|auto_functionalized|auto_functionalized_v2|invoke_subgraph|out_dtype|"
    r"strict_mode|tag_activation_checkpoint|hints_wrapper)"
    r"|_operator\.(add|sub|mul|truediv|floordiv|mod|pow|neg|pos|lt|le|gt|ge|eq|ne|and_|or_|not_|getitem|lshift|rshift)"
    r"|math\.(floor|ceil|trunc|sqrt|pow|log|exp)"
    r"|torch\.(sym_(int|float|max|min|not|ite|sum|sqrt)|_sym_sqrt|_check|_C\._set_grad_enabled)"
)
_FILES = re.compile(r"\.(from_file|save|load)(\.|$)")
_TREES = {
    "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict", "collections.deque",
    "torch.fx.immutable_collections.immutable_list", "torch.fx.immutable_collections.immutable_dict", None,
}  # fmt: skip
_CUSTOM = {"as_custom_obj", "custom_obj"}
_MOST_DEPTH = 200


def parse(raw: bytes, name: str) -> Any:
    """Parse JSON of one meaning; raises MalformedError where a key stands twice, or it is no JSON."""
    try:
        return json.loads(raw, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError(f"{name} is no JSON, or has two meanings: {error}", where=name) from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def reasons(document: Any) -> Iterator[str]:
    """Say what speaks against giving ``document`` to torch, a sentence each."""
    waiting: list[tuple[str, str, Any, int]] = [("", "", document, 0)]
    while waiting:
        above, key, value, depth = waiting.pop()
        if depth > _MOST_DEPTH:
            yield f"is nested more than {_MOST_DEPTH} deep"
            return
        if isinstance(value, dict):
            yield from _keys(key, value)
            waiting += [(key, inner, item, depth + 1) for inner, item in value.items()]
        elif isinstance(value, list):
            waiting += [(above, key, item, depth + 1) for item in value]
        elif isinstance(value, str) and (why := _text(above, key, value)):
            yield why


def _keys(key: str, value: dict[str, Any]) -> Iterator[str]:
    for inner, item in value.items():
        good = is_size(inner) if key == "range_constraints" else PLAIN.fullmatch(inner) is not None
        if not good:
            yield f"has a name that torch would take for code: {inner[:80]!r}"
        if inner in _CUSTOM or (inner == "custom_obj_values" and item):
            yield "holds objects of a class of somebody else's"


def _text(above: str, key: str, value: str) -> str | None:
    if key == "expr_str":
        return None if is_size(value) else f"holds an expression that doesn't only compute sizes: {value[:80]!r}"
    if key == "guards_code":
        return None if is_guard(value) else f"holds a guard that doesn't only compare sizes: {value[:80]!r}"
    if key in ("target", "as_operator"):
        known = _TARGET.fullmatch(value) is not None and _FILES.search(value) is None
        return None if known else f"calls {value[:80]!r}, which no model needs"
    if key in ("in_spec", "out_spec"):
        return _tree(value)
    return (
        None if _pattern(above, key).fullmatch(value) else f"has a text that torch would take for code: {value[:80]!r}"
    )


def _pattern(above: str, key: str) -> re.Pattern[str]:
    if key in ("name", "as_name", "forward_arg_names", "field_names"):
        return _NAME
    if above == "metadata":
        return _TRACE
    return _QUOTING if above == "arg" and key in ("as_string", "as_strings") else PLAIN


def _tree(text: str) -> str | None:
    """The tree of the call or of the result: plain containers, by plain keys."""
    try:
        protocol, tree = parse(text.encode(), "a tree")
        if protocol != 1:
            return f"has a tree of the unknown protocol {protocol!r}"
        waiting = [tree]
        while waiting:
            node = waiting.pop()
            if node["type"] not in _TREES:
                return f"has a structure that only another package knows: {str(node['type'])[:80]!r}"
            if not _context(node["context"]):
                return f"has a structure with keys that are no plain texts: {str(node['context'])[:80]!r}"
            waiting += node["children_spec"]
    except (MalformedError, ValueError, TypeError, KeyError):
        return "has a structure that can't be read"
    return None


def _context(text: Any) -> bool:
    """A dict's list of keys, a deque's length, or nothing; never a mapping: torch imports what one names."""
    if text is None:
        return True
    keys = parse(text.encode(), "a context") if isinstance(text, str) else object()
    plain = keys is None or (isinstance(keys, int) and not isinstance(keys, bool))
    return plain or (isinstance(keys, list) and all(_is_key(key) for key in keys))


def _is_key(key: Any) -> bool:
    return isinstance(key, int) or (isinstance(key, str) and PLAIN.fullmatch(key) is not None)
