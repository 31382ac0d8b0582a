"""``torchship ship`` from outside: how long each of its stages took, by its own progress lines."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring.digits import TORCHSHIP
from measuring.peaks import Peaks

STAGES = {
    "opening": "observing", "converting": "converting", "proving": "proving", "timing": "timing", "packing": "packing",
}  # fmt: skip
APART = ("observing", "proving", "timing")  # verification and measuring


@dataclass(frozen=True)
class Shipped:
    """``seconds`` and ``workers`` are by stage; ``starting`` is all before the first. ``peaks``: MB by process."""

    result: dict[str, Any]
    seconds: dict[str, float]
    workers: dict[str, int]
    peaks: dict[str, float]

    @property
    def own(self) -> float:
        """Seconds of the whole, verification and measuring apart."""
        return sum(seconds for stage, seconds in self.seconds.items() if stage not in APART)

    @property
    def made(self) -> dict[str, dict[str, Any]]:
        """The rows that are ok, by target."""
        return {row["target"]: row for row in self.result["artifacts"] if row["status"] == "ok"}


def ship(source: str, targets: str, folder: Path, *, watched: bool = False) -> Shipped:
    """Ship ``source`` to ``folder/bundle``, one conversion at a time, with nothing that was done before."""
    command = [
        str(TORCHSHIP), "ship", source, "--json", "-o", str(folder / "bundle"), "--targets", targets, "--jobs", "1",
        "--timeout", "1800",
    ]  # fmt: skip
    environment = {**os.environ, "TORCHSHIP_CACHE": str(folder / "cache"), "COLUMNS": "1000"}  # lines stay whole
    answer = folder / "result.json"
    started = time.perf_counter()
    with answer.open("wb") as stdout:
        process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    with Peaks(process.pid) if watched else contextlib.nullcontext() as peaks:
        seconds, workers, told = _stages(process.stderr, started)
        status = process.wait()
    if status:
        raise SystemExit(f"torchship ship {source} ended with {status}:\n{told[-4000:]}")
    return Shipped(json.loads(answer.read_bytes()), seconds, workers, peaks.megabytes if peaks else {})


def _stages(lines: Iterable[str], started: float) -> tuple[dict[str, float], dict[str, int], str]:
    """Read to the end; each stage lasts until the line that opens another."""
    seconds: dict[str, float] = {}
    workers: dict[str, int] = {}
    stage, since, told = "starting", started, ""
    for line in lines:
        told += line
        who, _, what = line.partition(": ")
        opened = STAGES.get(what.split(maxsplit=1)[0]) if what.strip() and who != "note" else None
        if opened is None:
            continue
        now = time.perf_counter()
        seconds[stage] = seconds.get(stage, 0.0) + now - since
        workers[opened] = workers.get(opened, 0) + (opened != "packing")
        stage, since = opened, now
    seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - since
    return seconds, workers, told
