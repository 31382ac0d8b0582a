"""What is in the zoo, read from its files without running them."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

ZOO = Path(__file__).resolve().parents[1] / "zoo"


@dataclass(frozen=True)
class Entry:
    """One model: ``kind`` is its file's name, ``about`` the first line of what its source says of it."""

    kind: str
    name: str
    about: str

    @property
    def file(self) -> Path:
        """Where it is written."""
        return ZOO / f"{self.kind}.py"


def entries(only: tuple[str, ...] = ()) -> list[Entry]:
    """All models in the order of kinds and lines; or those that ``only`` names, models or kinds, in its order."""
    found = [entry for file in sorted(ZOO.glob("*.py")) for entry in _of(file)]
    known = {entry.name for entry in found} | {entry.kind for entry in found}
    if unknown := [name for name in only if name not in known]:
        raise SystemExit(f"no such model or kind: {', '.join(unknown)}")
    if not only:
        return found
    return [entry for wanted in only for entry in found if wanted in (entry.name, entry.kind)]


def kinds() -> dict[str, str]:
    """What each kind is, by the first line of its file."""
    return {file.stem: _about(ast.parse(file.read_text())) for file in sorted(ZOO.glob("*.py")) if _of(file)}


def _of(file: Path) -> list[Entry]:
    found = []
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef) and any(_is_entry(each) for each in node.decorator_list):
            found.append(Entry(file.stem, node.name, _about(node)))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and _is_entry(node.value.func):
            found += [Entry(file.stem, each.id, "") for each in node.targets if isinstance(each, ast.Name)]
    return found


def _is_entry(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "entry"


def _about(node: ast.Module | ast.FunctionDef) -> str:
    return (ast.get_docstring(node) or "").split("\n")[0]
