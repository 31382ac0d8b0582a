"""The house's own rules: which room may import which, what is public, how big a file grows, what is never swallowed."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

import torchship
from torchship import errors
from torchship.cli.main import commands

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for room in ("src", "scripts", "benchmarks", "tests") for path in (ROOT / room).rglob("*.py"))
MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages(torchship.__path__, "torchship.")
    if not info.name.endswith("__main__")  # importing it runs it
)
RUN_SIDE = ("errors", "signature", "formats", "bundle", "runtime", "serve", "measure", "verify", "report")
RUN_COMMANDS = ("bench", "doctor", "extract", "inspect", "predict", "report", "serve", "verify")
MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 50

BLOCKED = """
import importlib, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "onnx", "onnxscript", "torchvision", "matplotlib", "jinja2"):
            raise ModuleNotFoundError(f"No module named {name!r} (blocked)", name=name)

sys.meta_path.insert(0, Blocked())
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def on_the_run_side(module: str) -> bool:
    parts = module.split(".")[1:]
    if parts[0] == "targets":
        return parts[-1] == "run" or len(parts) < 3
    if parts[0] == "cli":
        return len(parts) == 1 or parts[1] in (*RUN_COMMANDS, "main", "output")
    return parts[0] in RUN_SIDE


def test_import_contracts_hold(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    assert lint_imports(config_filename="pyproject.toml", cache_dir=None, no_cache=True) == 0, capsys.readouterr().out
    assert "4 kept, 0 broken" in capsys.readouterr().out


def test_import_contracts_can_break(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same contracts without the exceptions that they allow: the linter must see torch where it is."""
    monkeypatch.chdir(ROOT)
    told = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    strict = tmp_path / "pyproject.toml"
    strict.write_text(told.replace('"torchship.targets.torchscript.run -> torch",', ""), encoding="utf-8")
    assert lint_imports(config_filename=str(strict), cache_dir=None, no_cache=True) == 1
    assert "torchship.targets.torchscript.run -> torch" in capsys.readouterr().out


def test_run_side_is_imported_without_torch() -> None:
    wanted = [module for module in MODULES if on_the_run_side(module)]
    assert len(wanted) > 60
    done = subprocess.run([sys.executable, "-c", BLOCKED, *wanted], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_torch_is_really_blocked() -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKED, "torch"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "No module named 'torch' (blocked)" in done.stderr


def test_every_room_of_the_run_side_is_there() -> None:
    assert {module.split(".")[1] for module in MODULES if on_the_run_side(module)} == {*RUN_SIDE, "targets", "cli"}


def test_public_names_are_exact() -> None:
    assert sorted(torchship.__all__) == ["__version__", "errors", "load", "ship"]
    assert all(getattr(torchship, name) is not None for name in torchship.__all__)
    public = {name for name in vars(torchship) if not name.startswith("_")} - set(MODULES_BELOW) - {"annotations"}
    assert public <= {*torchship.__all__, "TYPE_CHECKING", "Any"}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        torchship.nothing  # noqa: B018


MODULES_BELOW = [info.name for info in pkgutil.iter_modules(torchship.__path__)]


def test_all_errors_are_public_and_in_the_tree() -> None:
    defined = {
        name for name, value in vars(errors).items() if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert defined == set(errors.__all__)
    assert all(issubclass(getattr(errors, name), errors.TorchshipError) for name in defined)
    assert all(name in (errors.__doc__ or "") for name in defined)


@pytest.mark.parametrize("module", MODULES)
def test_all_is_what_is_there(module: str) -> None:
    loaded = importlib.import_module(module)
    names = getattr(loaded, "__all__", [])
    assert len(set(names)) == len(names)
    assert [name for name in names if not hasattr(loaded, name)] == []


@pytest.mark.parametrize("command", commands())
def test_every_command_has_its_three_parts(command: str) -> None:
    module = importlib.import_module(f"torchship.cli.{command}")
    assert module.HELP.strip() == module.HELP
    assert callable(module.add)
    assert callable(module.run)


def test_files_fit_in_the_head() -> None:
    lines = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}


def test_functions_do_one_thing() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for path in SOURCES
        for node in functions(path)
        if node.end_lineno is not None and node.end_lineno - node.lineno + 1 > MOST_LINES_OF_A_FUNCTION
    }
    assert long == {}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def test_nothing_is_swallowed() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}" for path in SOURCES for line in swallowed(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def swallowed(source: str) -> Iterator[int]:
    """Lines of handlers that drop what they catch: a broad one at all, a narrow one without a word of why."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler) and all(drops(each) for each in node.body):
            told = any("#" in line for line in lines[node.lineno - 1 : node.body[-1].end_lineno])
            if broad(node.type) or not told:
                yield node.lineno
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress") and any(map(broad, node.args)):
            yield node.lineno


def drops(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def broad(node: ast.expr | None) -> bool:
    each = node.elts if isinstance(node, ast.Tuple) else [node]
    return any(one is None or ast.unparse(one) in ("Exception", "BaseException") for one in each)


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("try: f()\nexcept: pass", [2]),
        ("try: f()\nexcept Exception:\n    # told\n    pass", [2]),
        ("try: f()\nexcept (OSError, BaseException): ...", [2]),
        ("with suppress(Exception):\n    f()", [1]),
        ("try: f()\nexcept OSError: pass", [2]),
        ("try: f()\nexcept OSError:  # it is gone already\n    pass", []),
        ("try: f()\nexcept Exception as e:\n    raise X from e", []),
    ],
)
def test_swallowing_is_seen(source: str, lines: list[int]) -> None:
    assert list(swallowed(source)) == lines


def test_rooms_are_drawn_in_the_order_of_their_layers() -> None:
    layers = re.search(r"^layers = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.S | re.M)
    assert layers is not None
    order = {room: -place for place, line in enumerate(layers[1].splitlines()) for room in re.findall(r"\w+", line)}
    drawn = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rooms = [
        room.removesuffix("/").removesuffix(".py")
        for line in re.findall(r"^\| (`[^|]+/`|`errors.py`) \|", drawn, re.M)
        for room in re.findall(r"`([^`]+)`", line)
    ]
    assert [order[room] for room in rooms] == sorted(order[room] for room in rooms)
    assert set(rooms) == {module.split(".")[1] for module in MODULES}
