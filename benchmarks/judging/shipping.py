"""Ships one model of the zoo, and judges each artifact that ship calls ok without asking ship."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from catalogue import Entry
from compare import difference
from zygote import Zygote

HERE = Path(__file__).resolve().parent
WITHOUT_TORCH = ("onnx", "openvino")
LIMIT = 900  # seconds for the whole of ship
STEP = 120  # seconds for one conversion


class Pair(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one (model, target). ``outcome``: right, diagnosed, undiagnosed, wrong or unavailable.

    ``told`` is what was found wrong by this judge; the rest is ship's own row.
    """

    outcome: str
    reason: str | None = None
    op: str | None = None
    where: str | None = None
    hint: str | None = None
    route: str | None = None
    told: str | None = None
    seconds: float = 0.0


class Raw(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one (model, raw tool). ``silent``: its first way that converted answered wrongly."""

    outcome: str
    told: str = ""
    silent: bool = False


class Shipped(msgspec.Struct, omit_defaults=True):
    """One model's results. ``key``: of what they hold good for."""

    kind: str
    name: str
    key: str
    pairs: dict[str, Pair]
    notes: list[str] = []
    error: str | None = None
    seconds: float = 0.0
    raw_key: str = ""
    raw: dict[str, Raw] = {}


def shipped(entry: Entry, targets: tuple[str, ...], key: str) -> Shipped:
    """Ship ``entry`` and judge what came of it."""
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        start = time.monotonic()
        told = _ship(entry, targets, Path(folder))
        seconds = round(time.monotonic() - start, 1)
        if told.get("error", "").startswith("no target could be made") and "artifacts" not in told:
            lines = dict(line.strip().partition(": ")[::2] for line in told.get("where", "").splitlines())
            pairs = {target: _failed(lines.get(target), None, None, None) for target in targets}
            return Shipped(entry.kind, entry.name, key, pairs, error=told["error"], seconds=seconds)
        if "artifacts" not in told:
            pair = _failed(told.get("error"), told.get("op"), told.get("where"), told.get("hint"))
            return Shipped(
                entry.kind, entry.name, key, dict.fromkeys(targets, pair), error=told.get("error"), seconds=seconds
            )
        rows = {row["target"]: row for row in told["artifacts"]}
        judge = Judge(entry, Path(folder), list(rows.values()))
        pairs = {target: judge.pair(rows[target]) for target in targets if target in rows}
        return Shipped(entry.kind, entry.name, key, pairs, told.get("notes", []), seconds=seconds)


def _ship(entry: Entry, targets: tuple[str, ...], folder: Path) -> dict[str, Any]:
    command = [
        sys.executable, "-m", "torchship", "ship", f"{entry.file}:{entry.name}", "-o", str(folder / "bundle"),
        "--targets", ",".join(targets), "--timeout", str(STEP), "--jobs", "1", "--json",
    ]  # fmt: skip
    rc, out, err = ran(command, LIMIT, {"TORCHSHIP_CACHE": str(folder / "cache")})
    try:
        return json.loads(out)  # type: ignore[no-any-return]
    except ValueError:
        return {"error": f"ship ended with {rc} and no JSON: {err[-400:]}"}


def _failed(reason: str | None, op: str | None, where: str | None, hint: str | None) -> Pair:
    """A failure is diagnosed where it names the operator, the place, and a way out; a line of this judge's is none."""
    where = None if where and where.startswith("zygote.py") else where
    return Pair("diagnosed" if reason and op and where and hint else "undiagnosed", reason, op, where, hint)


class Judge:
    """Holds the artifacts of one bundle against eager."""

    def __init__(self, entry: Entry, folder: Path, rows: list[dict[str, Any]]) -> None:
        self._folder = folder
        self._calls = folder / "calls.pickle"
        self._error = ""
        made = {row["target"]: row["name"] for row in rows if row["status"] == "ok"}
        if made:
            self._ask_eager(entry)
            self._ask(made)

    def _ask_eager(self, entry: Entry) -> None:
        manifest = self._folder / "bundle" / "manifest.json"
        script = [sys.executable, str(HERE / "probes.py")]
        rc, _, err = ran([*script, str(entry.file), entry.name, str(self._calls), str(manifest)], STEP)
        if rc:
            raise SystemExit(f"{entry.name}: its own eager calls failed\n{err[-1500:]}")
        self._given = pickle.loads(self._calls.read_bytes())

    def _ask(self, artifacts: dict[str, str]) -> None:
        """Have ``artifacts`` (by target) answer: all of one kind in one process, and alone where that one died."""
        for torch in ("with", "without"):
            names = [name for target, name in artifacts.items() if (target in WITHOUT_TORCH) == (torch == "without")]
            if names and not self._answered(torch, names, STEP):
                for name in names:
                    self._answered(torch, [name], STEP)

    def _answered(self, torch: str, names: list[str], limit: float) -> bool:
        bundle = str(self._folder / "bundle")
        command = [sys.executable, str(HERE / "answer.py"), bundle, str(self._calls), str(self._folder), torch, *names]
        rc, _, self._error = ran(command, limit)
        return rc == 0

    def pair(self, row: dict[str, Any]) -> Pair:
        """Judge one row of ship's result."""
        if row["status"] != "ok":
            pair = _failed(row.get("reason"), row.get("op"), row.get("where"), row.get("hint"))
            outcome = pair.outcome if row["status"] == "failed" else "unavailable"
            return msgspec.structs.replace(pair, outcome=outcome, route=row.get("route"))
        told = self._wrong(self._folder / f"{row['name']}.pickle")
        return Pair(
            "wrong" if told else "right", route=row.get("route"), told=told, seconds=row.get("convert_seconds", 0.0)
        )

    def _wrong(self, answers: Path) -> str | None:
        if not answers.is_file():
            return f"its process died or hung: {self._error[-300:]}"
        answered = pickle.loads(answers.read_bytes())
        if answered[0][0] == "unopened":
            return f"it can't be opened: {answered[0][1]}"
        for place, (call, (how, got)) in enumerate(zip(self._given["calls"], answered, strict=True)):
            sizes = _sizes(call)
            if how == "raised":
                return f"call {place} {sizes}: raises {got}"
            if found := difference(call["result"], got, self._given["coarse"]):
                return f"call {place} {sizes}: {found}"
        return None


def _sizes(call: dict[str, Any]) -> str:
    from nest import leaves

    return " ".join(str(list(each.shape)) for each in leaves((call["args"], call["kwargs"])))


def raw(entry: Entry, tools: tuple[str, ...]) -> dict[str, Raw]:
    """Have each raw tool try."""
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        calls, out = Path(folder) / "calls.pickle", Path(folder) / "raw.json"
        rc, _, err = ran([sys.executable, str(HERE / "probes.py"), str(entry.file), entry.name, str(calls)], STEP)
        if rc:
            raise SystemExit(f"{entry.name}: its own eager calls failed\n{err[-1500:]}")
        found = {}
        for tool in tools:
            out.unlink(missing_ok=True)
            rc, _, err = ran(
                [sys.executable, str(HERE / "rawtools.py"), str(entry.file), entry.name, str(calls), str(out), tool],
                STEP,
            )
            found[tool] = msgspec.json.decode(out.read_bytes(), type=Raw) if not rc else Raw("failed", err[-300:])
        return found


FORKS: list[Zygote] = []  # one, where tasks are to be forked


def ran(command: list[str], limit: float, environment: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Run a child in a session of its own; past ``limit`` seconds all of it is ended, and -9 given."""
    if FORKS and "without" not in command:
        return FORKS[0].ran(command, limit, environment or {})
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
        env=os.environ | (environment or {}), start_new_session=True,
    )  # fmt: skip
    try:
        out, err = child.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        out, err = child.communicate()
        return -9, out, f"{err}\nended after {limit} s"
    return child.returncode, out, err
