"""How many threads this process may use: the CPUs it is allowed on, and the cgroup's quota, whichever is less."""

from __future__ import annotations

import math
import os
from pathlib import Path


def cores() -> int:
    """Whole cores, at least one; a quota of 1.5 cores counts as 2 threads."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return max(1, min(allowed, math.ceil(quota) if quota else allowed))


def _quota() -> float | None:
    """Cores by the cgroup's CPU quota: version 2 (``cpu.max``), else version 1; None where there is no bound."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return _quota_v1()
    return None if limit == "max" else int(limit) / int(period)


def _quota_v1() -> float | None:
    try:
        limit = int(Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").read_text())
        period = int(Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return limit / period if limit > 0 and period > 0 else None
