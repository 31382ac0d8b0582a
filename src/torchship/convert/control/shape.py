"""Brings a function's text into the shape in which each ``if`` has one way out: no early return, no ``continue``."""

from __future__ import annotations

import ast
from collections.abc import Callable

from torchship.convert.control.names import inside


def without_early_returns(body: list[ast.stmt]) -> list[ast.stmt]:
    """What follows an ``if`` that returns is moved into its other branch."""
    found = _nested(body, _returns)
    if any(isinstance(each, ast.Return) for each in inside(found)) and not returns(found):
        _close(found)
    return found


def without_continue(body: list[ast.stmt]) -> list[ast.stmt]:
    """The same for ``continue``, in the body of a loop."""
    return _dropped(_nested(body, _continues)) or [ast.Pass()]


def returns(block: list[ast.stmt]) -> bool:
    """Whether every way through ``block`` ends in a return or a raise, and none in another."""
    return bool(block) and (
        isinstance(block[-1], (ast.Return, ast.Raise))
        or (isinstance(block[-1], ast.If) and returns(block[-1].body) and returns(block[-1].orelse))
    )


def _returns(block: list[ast.stmt]) -> bool:
    return returns(block) and not isinstance(block[-1], ast.Raise)


def _continues(block: list[ast.stmt]) -> bool:
    return bool(block) and isinstance(block[-1], ast.Continue)


def _nested(block: list[ast.stmt], ends: Callable[[list[ast.stmt]], bool]) -> list[ast.stmt]:
    done: list[ast.stmt] = []
    for place, statement in enumerate(block):
        done.append(statement)
        if not isinstance(statement, ast.If):
            continue
        body, other, rest = statement.body, statement.orelse, block[place + 1 :]
        if rest and ends(_nested(body, ends)):
            other, rest = [*other, *rest], []
        elif rest and ends(_nested(other, ends)):
            body, rest = [*body, *rest], []
        statement.body, statement.orelse = _nested(body, ends), _nested(other, ends)
        if not rest:
            break
    return done


def _close(block: list[ast.stmt]) -> None:
    """Where a way through ends in nothing, it returns None."""
    last = block[-1] if block else None
    if isinstance(last, ast.If) and any(isinstance(each, ast.Return) for each in inside([last])):
        _close(last.body)
        _close(last.orelse)
    elif not isinstance(last, (ast.Return, ast.Raise)):
        block.append(ast.Return(ast.Constant(None)))


def _dropped(block: list[ast.stmt]) -> list[ast.stmt]:
    kept = [each for each in block if not isinstance(each, ast.Continue)]
    for each in kept:
        if isinstance(each, ast.If):
            each.body, each.orelse = _dropped(each.body) or [ast.Pass()], _dropped(each.orelse)
    return kept
