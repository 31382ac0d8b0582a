"""What a line of Python does, where no operator of torch's is to blame: a name for the row's ``op``."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_FOREIGN = ("np", "numpy", "math", "scipy", "random", "cv2", "PIL")


def construct(code: str) -> str | None:
    """Name what stands in ``code``: a call into another library, else a loop or branch, else the outermost call.

    None where the line can't be read alone, or holds none of these.
    """
    tree = _parsed(code)
    if tree is None:
        return None
    calls = [name for name in map(_name, _calls(tree)) if name]
    foreign = next((name for name in reversed(calls) if name.partition(".")[0] in _FOREIGN and "." in name), None)
    if foreign is not None:
        return foreign.replace("np.", "numpy.", 1) if foreign.startswith("np.") else foreign
    block = next((type(each).__name__.lower() for each in tree.body if isinstance(each, _STATEMENTS)), None)
    over = tree.body[0].iter if tree.body and isinstance(tree.body[0], ast.For) else None
    if isinstance(over, ast.Call) and (name := _name(over)) not in ("", "range"):
        return name
    return block or next(iter(calls), None)


_STATEMENTS = (ast.For, ast.While, ast.If, ast.With, ast.Try, ast.Raise, ast.Assert)


def _parsed(code: str) -> ast.Module | None:
    """The line as it stands, or with what makes a block of it."""
    line = code.strip().removeprefix("el") if code.strip().startswith("elif") else code.strip()
    return next((tree for text in (line, f"{line} pass") if (tree := _tree(text)) is not None), None)


def _tree(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except SyntaxError:  # a line of several
        return None


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls, outermost first."""
    return (each for each in ast.walk(tree) if isinstance(each, ast.Call))


def _name(call: ast.Call) -> str:
    """``np.sort`` of a call of it; a method's by its name alone; empty where what is called has none."""
    parts: list[str] = []
    at: ast.expr = call.func
    while isinstance(at, ast.Attribute):
        parts.append(at.attr)
        at = at.value
    if isinstance(at, ast.Name):
        parts.append(at.id)
    elif parts:
        return parts[0]
    return ".".join(reversed(parts))
