"""Lets the functions of a model's own code run as rewritten, for a while."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import CodeType, FunctionType
from typing import Any

from torch import nn
from torch._dynamo import symbolic_convert

from torchship.convert.control import flow
from torchship.convert.control.rewriting import FLOW, rewrite, writes_data
from torchship.convert.symbolic import Space, spaces_of
from torchship.models.function_text import parsed

_CONTROL = (ast.If, ast.For, ast.While, ast.IfExp, ast.Assert)


@contextmanager
def graph_control(model: nn.Module) -> Iterator[None]:
    """Within, control flow of the model's code on tensors and open sizes becomes the graph's.

    A function keeps its name, globals, defaults and closure: only its code is another.
    """
    changed: list[tuple[FunctionType, CodeType]] = []
    spaces: list[Space] = []
    try:
        for function in _functions(model):
            code = _rewritten(function)
            if code is not None:
                changed.append((function, function.__code__))
                function.__code__ = code
                for space in _spaces(function):
                    if FLOW not in space:
                        space[FLOW] = flow
                        spaces.append(space)
        yield
    finally:
        for function, code in changed:
            function.__code__ = code
        for space in spaces:
            del space[FLOW]


def _spaces(function: FunctionType) -> Iterator[Space]:
    """Its globals, and where torch looks for them: it remembers modules by name, also one that was read anew since."""
    yield function.__globals__
    remembered = getattr(symbolic_convert, "_import_module", import_module)
    try:
        yield vars(remembered(function.__module__))
    except ImportError:
        return  # no module has that name any more: torch has nowhere to look either


def _functions(model: nn.Module) -> Iterator[FunctionType]:
    """Methods and plain functions of the modules that hold the model's code."""
    seen: set[int] = set()
    for space in spaces_of(model):
        for value in _held(model, space):
            held = list(vars(value).values()) if isinstance(value, type) else [value]
            for each in held:
                function = _plain(each)
                if function is not None and _is_of(space, function) and id(function) not in seen:
                    seen.add(id(function))
                    yield function


def _held(model: nn.Module, space: Space) -> Iterator[Any]:
    """What the module names, and the model's classes of it, which it need not name any more."""
    yield from list(space.values())
    for kind in {base for each in model.modules() for base in type(each).__mro__}:
        if kind.__module__ == space["__name__"]:
            yield kind


def _plain(value: object) -> FunctionType | None:
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    while hasattr(value, "__wrapped__"):
        value = value.__wrapped__
    return value if isinstance(value, FunctionType) else None


def _is_of(space: Space, function: FunctionType) -> bool:
    return function.__globals__ is space and not function.__name__.startswith("__")


def _rewritten(function: FunctionType) -> CodeType | None:
    """The function's code, rewritten; None where it has nothing to rewrite, or no text."""
    tree = parsed(function)
    found = tree.body[0] if tree is not None and tree.body else None
    if not isinstance(found, ast.FunctionDef):
        return None
    if not any(isinstance(each, _CONTROL) or writes_data(each) for each in ast.walk(found)):
        return None
    found.decorator_list = []
    rewrite(found)
    return _compiled(function, found)


def _compiled(function: FunctionType, found: ast.FunctionDef) -> CodeType | None:
    """Within a function that binds the names of its closure; None where another closure would come of it."""
    names = function.__code__.co_freevars
    outer = ast.FunctionDef("_outer", _no_arguments(), [*_bindings(names), found], [])
    module = ast.fix_missing_locations(ast.Module([outer], []))
    code = compile(module, function.__code__.co_filename, "exec")
    inner = _constant(_constant(code, "_outer"), found.name)
    return inner if inner is not None and inner.co_freevars == names else None


def _no_arguments() -> ast.arguments:
    return ast.arguments([], [], None, [], [], None, [])


def _bindings(names: tuple[str, ...]) -> list[ast.stmt]:
    return [ast.Assign([ast.Name(name, ast.Store())], ast.Constant(None)) for name in names]


def _constant(code: CodeType | None, name: str) -> CodeType | None:
    return next(
        (each for each in (code.co_consts if code else ()) if isinstance(each, CodeType) and each.co_name == name), None
    )
