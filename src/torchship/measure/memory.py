"""How much memory a process takes, and how much there is."""

from __future__ import annotations

import os
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def resident_mb(process: int | None = None) -> float:
    """Resident memory of a process (this one by default) in MB; 0.0 where the host doesn't tell."""
    try:
        pages = int(Path(f"/proc/{process or 'self'}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * _PAGE / 1e6


def group_resident_mb(group: int) -> float:
    """Resident memory of a whole process group in MB: a worker with the compilers that it started."""
    return sum(resident_mb(process) for process in _processes() if _group_of(process) == group)


def _processes() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - five times as quick
    except OSError:
        return []


def _group_of(process: int) -> int | None:
    try:
        return os.getpgid(process)
    except OSError:  # it ended since
        return None


def available_mb() -> float:
    """Memory that new processes may take, in MB: the host's, or the cgroup's bound where that is less."""
    found = [_meminfo(), _cgroup()]
    return min((each for each in found if each), default=8000.0)


def _meminfo() -> float:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0.0
    kilobytes = next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), 0)
    return kilobytes / 1e3


def _cgroup() -> float:
    try:
        bound = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return 0.0
    return int(bound) / 1e6 if bound.isdigit() else 0.0
