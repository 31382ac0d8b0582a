"""The expressions that ``.pt2`` files hold as text, and that torch evaluates: held against a strict grammar first.

Sizes are written as sympy writes them (``Mul(Integer(2), Symbol('s0', positive=True))``), guards as Python
(``L['x'].size()[0] % 2 == 0``). Both are parsed as Python's own expressions, and only the nodes below may occur.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

_MAX_LENGTH = 20_000
_MAX_POWER = 256  # the product of the exponents on any way through an expression
_FUNCTIONS = {
    "Symbol", "Integer", "Float", "Rational", "Mul", "Add", "Pow", "Mod", "PythonMod", "FloorDiv", "CeilDiv",
    "CleanDiv", "Max", "Min", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "And", "Or", "Not", "Equality", "Unequality",
    "StrictLessThan", "LessThan", "StrictGreaterThan", "GreaterThan", "Where", "ModularIndexing", "TruncToInt",
    "TruncToFloat", "RoundToInt", "RoundDecimal", "CeilToInt", "FloorToInt", "IntTrueDiv", "FloatTrueDiv", "ToFloat",
    "Identity", "FloatPow", "PowByNatural", "LShift", "RShift", "BitwiseFn_bitwise_and", "BitwiseFn_bitwise_or",
    "Abs", "floor", "ceiling", "IsNonOverlappingAndDenseIndicator", "max", "min", "abs",
}  # fmt: skip
_POWERS = {"Pow", "FloatPow", "PowByNatural", "LShift"}
_METHODS = {"size", "stride", "storage_offset", "numel", "dim"}
_MODULES = {
    "math": {"trunc", "floor", "ceil", "sqrt", "isnan", "inf"},
    "torch": {"sym_float", "sym_int", "sym_max", "sym_min", "sym_not", "_sym_sqrt"},
}
_VARIABLE = re.compile(r"(s|u|f|zf|zuf|zut|ps|fs)\d+|true|false|oo|int_oo")
_TEXT = re.compile(r"[\w .-]{1,100}")
_NODES = (
    ast.Expression, ast.Load, ast.keyword, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.Add, ast.Sub, ast.Mult,
    ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.USub, ast.UAdd, ast.Not, ast.And, ast.Or, ast.Eq, ast.NotEq, ast.Lt,
    ast.LtE, ast.Gt, ast.GtE,
)  # fmt: skip


def is_size(expression: str) -> bool:
    """Whether ``expression`` only computes with numbers and symbols, by sympy's functions for sizes."""
    return _holds(expression, _of_size)


def is_guard(expression: str) -> bool:
    """Whether ``expression`` only compares sizes of the inputs (``L['x'].size()[0]``)."""
    return _holds(expression, _of_guard)


def _holds(expression: str, allowed: Callable[[ast.AST], bool]) -> bool:
    if len(expression) > _MAX_LENGTH:
        return False
    try:
        tree = ast.parse(expression, mode="eval")
        return all(allowed(node) for node in ast.walk(tree)) and _power(tree.body) <= _MAX_POWER
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _of_size(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name):
            return name in _FUNCTIONS or _VARIABLE.fullmatch(name) is not None
        case ast.Call(func=called):
            return isinstance(called, ast.Name) and called.id in _FUNCTIONS
        case ast.Constant():
            return _is_constant(node)
    return isinstance(node, _NODES)


def _of_guard(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name):
            return name in _MODULES or name == "L" or _of_size(node)
        case ast.Attribute(value=ast.Name(id=module), attr=name):
            return name in _MODULES.get(module, ())
        case ast.Attribute(value=ast.Subscript(), attr=name):
            return name in _METHODS
        case ast.Call(func=ast.Attribute()):
            return True
        case ast.Subscript(value=of, slice=ast.Constant()):
            return isinstance(of, (ast.Subscript, ast.Call)) or (isinstance(of, ast.Name) and of.id == "L")
    return _of_size(node)


def _is_constant(node: ast.Constant) -> bool:
    """A number, or a name: quotes in it would end the text that torch writes it into."""
    value = node.value
    if isinstance(value, str):
        return _TEXT.fullmatch(value) is not None
    return isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < 1 << 64)


def _power(node: ast.AST) -> float:
    """How high the numbers in it may be raised: ``Pow(Pow(x, 16), 16)`` is 256."""
    inner = max((_power(child) for child in ast.iter_child_nodes(node)), default=1.0)
    exponent: ast.AST | None = None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        exponent = node.right
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _POWERS:
        exponent = node.args[1] if len(node.args) == 2 else node
    return inner if exponent is None else inner * max(1.0, _exponent(exponent))


def _exponent(node: ast.AST) -> float:
    """Its size where it is a plain number, beyond all bounds elsewhere."""
    if isinstance(node, ast.Call) and len(node.args) == 1:  # Integer(2)
        node = node.args[0]
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    plain = isinstance(node, ast.Constant) and isinstance(node.value, (int, float))
    return abs(node.value) if plain else _MAX_POWER + 1  # type: ignore[attr-defined]
