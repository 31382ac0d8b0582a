"""The load: ``wrk`` (https://github.com/wg/wrk), a C program that takes a small part of what the servers take."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

_SCRIPT = Path(__file__).with_name("post.lua")
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True)
class Load:
    """What is posted where."""

    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """Of one run: requests answered, requests a second, milliseconds at quantiles, and what wasn't 2xx."""

    requests: int
    rate: float
    p50_ms: float
    p99_ms: float
    refused: int


def check() -> None:
    """End with the line that brings it where ``wrk`` is missing."""
    if shutil.which("wrk") is None:
        raise SystemExit("the load generator wrk is missing: apt-get install wrk (or brew install wrk)")


def run(load: Load, connections: int, seconds: int) -> Measured:
    """Keep ``connections`` busy for a while, each with one request at a time."""
    with tempfile.NamedTemporaryFile() as body:
        body.write(load.body)
        body.flush()
        headers = "\n".join(f"{name}: {value}" for name, value in load.headers.items())
        told = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(_SCRIPT), load.url],
            env={**os.environ, "POST_BODY": body.name, "POST_HEADERS": headers},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    return Measured(
        requests=int(_found(r"(\d+) requests in", told)[0]),
        rate=float(_found(r"Requests/sec:\s+([\d.]+)", told)[0]),
        p50_ms=_milliseconds(_found(r"\s50%\s+([\d.]+)(us|ms|s)\n", told)),
        p99_ms=_milliseconds(_found(r"\s99%\s+([\d.]+)(us|ms|s)\n", told)),
        refused=sum(int(count) for count in re.findall(r"Non-2xx or 3xx responses: (\d+)", told)),
    )


def _found(pattern: str, told: str) -> tuple[str, ...]:
    match = re.search(pattern, told)
    if match is None:
        raise SystemExit(f"wrk said something unforeseen:\n{told}")
    return match.groups()


def _milliseconds(found: tuple[str, ...]) -> float:
    return float(found[0]) * _UNITS[found[1]]
