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
    kinds = [type(each).__name__ for each in tree.body]
    block = next((_STATEMENTS[kind] for kind in kinds if kind in _STATEMENTS), None)
    over = tree.body[0].iter if tree.body and isinstance(tree.body[0], ast.For) else None
    if isinstance(over, ast.Call) and (name := _name(over)) not in ("", "range"):
        return name
    return block or next(iter(calls), None) or next((f"Tensor.{name}" for name in _set(tree)), None)


_STATEMENTS = {
    "For": "for", "While": "while", "If": "if", "With": "with", "Try": "try", "Raise": "raise", "Assert": "assert",
    "Import": "import", "ImportFrom": "import", "Continue": "continue", "Break": "break",
}  # fmt: skip


def _set(tree: ast.Module) -> Iterator[str]:
    """Attributes of attributes that are set: ``data`` of ``self.weight.data *= mask``."""
    for each in tree.body:
        for target in each.targets if isinstance(each, ast.Assign) else [getattr(each, "target", None)]:
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Attribute):
                yield target.attr


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
