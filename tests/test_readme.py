"""The READMEs' commands are run as they stand there, in their order; both languages say the same.

Two words are added, so that one trained net and its conversions serve the whole run: ``train`` runs one epoch, and
``ship`` makes the targets that the shared bundle has. Port 8000 becomes one that is free.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from torchship.cli.main import commands
from torchship.targets import known

ROOT = Path(__file__).parent.parent
README, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
BLOCK = re.compile(r"(?:<!-- (?P<file>[\w.]+) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
ADDED = {
    "torchship train digits -o digits.pth": "--epochs 1",
    "torchship ship digits.pth -o digits": "--targets 'onnx torchscript exported'",
}
NEVER_RUN = ("make ", "pip install ")  # what they do is tested by themselves, and takes minutes


@dataclass(frozen=True)
class Block:
    """A block of a README. ``file``: the file that its text goes into, where it says so."""

    kind: str
    text: str
    file: str | None = None


def blocks(readme: Path) -> list[Block]:
    found = BLOCK.finditer(readme.read_text(encoding="utf-8"))
    return [Block(each["kind"], each["text"], each["file"]) for each in found]


@dataclass
class Walk:
    """What was seen on the way through the README: each command's stdout, by the command."""

    folder: Path
    printed: dict[str, str]
    served: bool = False


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def walk(digits_bundle: Path, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """Go through the README once; servers end with it."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "docs").symlink_to(ROOT / "docs")
    done, servers = Walk(folder, {}), []
    try:
        for block in blocks(README):
            for command in _commands(block, folder):
                if command.startswith("torchship serve"):
                    servers.append(_start(command, folder, port))
                    done.served = True
                else:
                    done.printed[command] = _run(command, folder, port)
        yield done
    finally:
        for server in servers:
            server.terminate()
            assert server.wait(timeout=60) == 0


def _commands(block: Block, folder: Path) -> Iterator[str]:
    if block.file is not None:
        (folder / block.file).write_text(block.text, encoding="utf-8")
    elif block.kind == "python":
        yield f"python - <<'END'\n{block.text}END"
    elif block.kind == "bash":
        yield from block.text.strip().splitlines()


def _environment() -> dict[str, str]:
    programs = Path(sys.executable).parent
    return {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "no_proxy": "127.0.0.1"}


def _shell(command: str, port: int) -> list[str]:
    added = f"{command} {ADDED[command]}" if command in ADDED else command
    return ["bash", "-euo", "pipefail", "-c", re.sub(r"\b8000\b", str(port), added)]


def _run(command: str, folder: Path, port: int) -> str:
    done = subprocess.run(
        _shell(command, port), cwd=folder, env=_environment(), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def _start(command: str, folder: Path, port: int) -> subprocess.Popen[bytes]:
    words = _shell(f"exec {command}", port)
    log = (folder / "serve.log").open("wb")
    with log:
        server = subprocess.Popen(words, cwd=folder, env=_environment(), stdout=log, stderr=log)
    end = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < end:
        if _ready(f"http://127.0.0.1:{port}/v2/health/ready"):
            return server
        time.sleep(0.05)
    server.kill()
    server.wait()
    raise AssertionError(f"{command}\n{(folder / 'serve.log').read_text()}")


def _ready(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def printed(walk: Walk, beginning: str) -> str:
    return next(text for command, text in walk.printed.items() if command.startswith(beginning))


def test_every_command_was_run(walk: Walk) -> None:
    assert set(ADDED) <= set(walk.printed)
    assert walk.served
    assert len(walk.printed) >= 9


def test_seven_is_read_as_seven(walk: Walk) -> None:
    assert printed(walk, "torchship predict digits") == "docs/seven.png: 7\n"
    assert json.loads(printed(walk, "curl -s --data-binary"))["label"] == "7"


def test_server_tells_what_it_takes(walk: Walk) -> None:
    told = json.loads(printed(walk, "curl -s http://"))
    assert told["name"] == "digits"
    assert told["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, 1, 28, 28]}]


def test_own_model_gives_a_label(walk: Walk) -> None:
    assert printed(walk, "echo").strip() in {f"-: {label}" for label in ("setosa", "versicolor", "virginica")}


def test_page_is_written(walk: Walk) -> None:
    assert (walk.folder / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_table_of_ship_has_the_columns_that_are_shown(walk: Walk) -> None:
    shown = next(block.text for block in blocks(README) if block.kind == "text")
    columns = re.split(r"\s{2,}", shown.splitlines()[0].strip())
    assert re.split(r"\s{2,}", printed(walk, "torchship ship digits").splitlines()[0].strip()) == columns


def test_both_languages_have_the_same_blocks() -> None:
    ours, theirs = ([block for block in blocks(readme) if block.kind != "sh"] for readme in (README, CHINESE))
    assert ours == theirs
    assert _code(README) == _code(CHINESE)


def _code(readme: Path) -> list[str]:
    """The commands of blocks that aren't run, without what is said beside them."""
    lines = [line for block in blocks(readme) if block.kind == "sh" for line in block.text.strip().splitlines()]
    return [line.partition("#")[0].strip() for line in lines]


def test_only_make_and_pip_are_not_run() -> None:
    assert [line for line in _code(README) if not line.startswith(NEVER_RUN)] == []
    assert {block.kind for block in blocks(README)} == {"sh", "bash", "python", "text"}


@pytest.mark.parametrize("readme", [README, CHINESE], ids=["en", "zh"])
def test_both_languages_have_the_same_outline(readme: Path) -> None:
    levels = [len(line.split()[0]) for line in _prose(readme) if line.startswith("#")]
    assert levels == [len(line.split()[0]) for line in _prose(README) if line.startswith("#")]
    rows = [line for line in _prose(readme) if line.startswith("|")]
    assert len(rows) == len([line for line in _prose(README) if line.startswith("|")])


def _prose(readme: Path) -> list[str]:
    return BLOCK.sub("", readme.read_text(encoding="utf-8")).splitlines()


@pytest.mark.parametrize("readme", [README, CHINESE], ids=["en", "zh"])
def test_tables_name_every_target_and_command(readme: Path) -> None:
    first = [line.split("|")[1].strip() for line in _prose(readme) if line.startswith("| `")]
    targets = {cell.strip("`") for cell in first} & set(known())
    assert targets == set(known())
    assert {cell.strip("`").split()[0] for cell in first} - targets == set(commands())


@pytest.mark.parametrize("page", [README, CHINESE, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))])
def test_links_lead_somewhere(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
