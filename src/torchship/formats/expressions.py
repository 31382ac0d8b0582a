"""The expressions that ``.pt2`` files hold as text, and that torch evaluates: held against a strict grammar first."""

from __future__ import annotations

import ast
import re

_MAX_LENGTH = 5000
_MAX_EXPONENT = 16
_FUNCTIONS = {
    "Symbol", "Integer", "Float", "Rational", "Mul", "Add", "Pow", "Mod", "PythonMod", "FloorDiv", "CeilDiv",
    "CleanDiv", "Max", "Min", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "And", "Or", "Not", "Equality", "Unequality",
    "StrictLessThan", "LessThan", "StrictGreaterThan", "GreaterThan", "Where", "ModularIndexing", "TruncToInt",
    "TruncToFloat", "RoundToInt", "RoundDecimal", "CeilToInt", "FloorToInt", "IntTrueDiv", "FloatTrueDiv", "ToFloat",
    "Identity", "FloatPow", "PowByNatural", "LShift", "RShift", "BitwiseFn_bitwise_and", "BitwiseFn_bitwise_or",
    "Abs", "floor", "ceiling", "IsNonOverlappingAndDenseIndicator", "max", "min",
}  # fmt: skip
_METHODS = {"size", "stride", "storage_offset", "numel", "dim"}
_VARIABLE = re.compile(r"(s|u|f|zf|zuf|zut|ps|fs)\d+|true|false|L|oo|int_oo")
_NODES = (
    ast.Expression, ast.Constant, ast.Name, ast.Load, ast.Call, ast.keyword, ast.BinOp, ast.UnaryOp, ast.Compare,
    ast.BoolOp, ast.Attribute, ast.Subscript, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow,
    ast.USub, ast.UAdd, ast.Not, ast.And, ast.Or, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE,
)  # fmt: skip


def is_plain(expression: str) -> bool:
    """Whether ``expression`` only computes with sizes: numbers, symbols, known functions, and tensors' sizes."""
    if len(expression) > _MAX_LENGTH:
        return False
    try:
        tree = ast.parse(expression, mode="eval")
        return all(_plain(node) for node in ast.walk(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _plain(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name):
            return name in _FUNCTIONS or _VARIABLE.fullmatch(name) is not None
        case ast.Call():
            return _plain_call(node)
        case ast.Attribute(value=value, attr=method):
            return method in _METHODS and isinstance(value, ast.Subscript)
        case ast.BinOp(op=ast.Pow(), right=exponent):
            return _small(exponent)
        case ast.Constant(value=value):
            return isinstance(value, (bool, int, float, str)) and len(str(value)) < 100
    return isinstance(node, _NODES)


def _plain_call(call: ast.Call) -> bool:
    """A known function by its name, or a method of a tensor's sizes; powers only with small exponents."""
    if isinstance(call.func, ast.Attribute):
        return True
    if not isinstance(call.func, ast.Name) or call.func.id not in _FUNCTIONS:
        return False
    if call.func.id in ("Pow", "FloatPow", "PowByNatural", "LShift"):
        return len(call.args) == 2 and _small(call.args[1])
    return True


def _small(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and len(node.args) == 1:  # Integer(2)
        node = node.args[0]
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    return isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and abs(node.value) <= _MAX_EXPONENT
