"""Which names a piece of a function's text reads, binds and changes, and which of them matter afterwards."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)

Block = Sequence[ast.stmt]


def inside(nodes: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """All nodes of the same scope: not those in functions and classes that are defined there."""
    for node in nodes:
        yield node
        if not isinstance(node, _SCOPES):
            yield from inside(list(ast.iter_child_nodes(node)))


def read(nodes: Sequence[ast.AST]) -> set[str]:
    """Names that are read, by inner functions too."""
    every = [each for node in nodes for each in ast.walk(node)]
    plain = {each.id for each in every if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)}
    return plain | {name for each in every if isinstance(each, ast.AugAssign) for name in _name(each.target)}


def changed(nodes: Sequence[ast.AST]) -> set[str]:
    """Names that are bound, or written into: ``x[0] = 1``, ``x.add_(1)``, ``x.append(1)``."""
    own = {each.id for node in inside(nodes) if isinstance(node, ast.comprehension) for each in _bound(node.target)}
    found: set[str] = set()
    for node in inside(nodes):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            found |= _name(node.value)
        else:
            found |= _written_by_call(node)
    return found - own


def _written_by_call(node: ast.AST) -> set[str]:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return set()
    in_place = node.func.attr.endswith("_") and not node.func.attr.startswith("_")
    return _name(node.func.value) if in_place or node.func.attr == "append" else set()


def _name(node: ast.AST) -> set[str]:
    return {node.id} if isinstance(node, ast.Name) else set()


def wanted(block: Block, after: set[str]) -> set[str]:
    """Names whose values from before ``block`` may be read, in it or, where it leaves them, ``after`` it."""
    live = set(after)
    for statement in reversed(block):
        live = _before(statement, live)
    return live


def _before(statement: ast.stmt, live: set[str]) -> set[str]:
    match statement:
        case ast.Assign() | ast.AnnAssign(value=ast.expr()):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            bound = {name.id for target in targets for name in _bound(target)}
            return (live - bound) | read([statement])
        case ast.If():
            return read([statement.test]) | wanted(statement.body, live) | wanted(statement.orelse, live)
        case ast.For():
            target = {name.id for name in _bound(statement.target)}
            return live | read([statement.iter]) | (wanted(statement.body, set()) - target) | read(statement.orelse)
        case ast.While():
            return live | read([statement.test]) | wanted(statement.body, set()) | read(statement.orelse)
        case ast.Return() | ast.Raise():
            return read([statement])
        case _:
            return live | read([statement])


def _bound(target: ast.expr) -> Iterator[ast.Name]:
    if isinstance(target, ast.Name):
        yield target
    elif isinstance(target, (ast.Tuple, ast.List)):
        for each in target.elts:
            yield from _bound(each)
