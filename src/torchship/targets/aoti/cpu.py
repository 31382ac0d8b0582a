"""Which CPUs the code is compiled for: a class that most hosts belong to, and what the host contract says of it."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from torchship.measure.host import cpu_flags, machine

# x86-64-v3 (Haswell, Excavator and later) in the words of Linux; the psABI's LZCNT is called abm there
_V3 = ("abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe")
_SVE = ("asimd", "bf16", "sve")


@dataclass(frozen=True)
class Goal:
    """``march`` and ``simdlen`` (bits of a vector) are for the compiler, the rest is the host contract.

    No ``march`` leaves it to torch; no ``simdlen`` to what torch finds that this CPU can do.
    """

    systems: tuple[str, ...]
    machines: tuple[str, ...]
    isa: tuple[str, ...] = ()
    march: str | None = None
    simdlen: int | None = None


def this_goal() -> Goal:
    """The class of CPUs that this host belongs to."""
    return goal(platform.system(), machine(), cpu_flags())


def goal(system: str, of_machine: str, flags: frozenset[str]) -> Goal:
    """Choose for a host; an x86-64 CPU without AVX2 gets scalar code of the first x86-64.

    On arm64, torch vectorises for SVE where the CPU has it (with bf16), else for NEON, which each has; what it adds
    to the command line comes after ``march`` and wins.
    """
    where = ((system,), (of_machine,))
    if of_machine == "x86_64":
        if flags and not flags.issuperset(_V3):
            return Goal(*where, march="x86-64", simdlen=256)
        return Goal(*where, _V3 if system == "Linux" else (), "x86-64-v3", 256)
    if of_machine == "aarch64" and system == "Linux":
        vectors = _SVE if flags.issuperset(_SVE) else ("asimd",)
        more = tuple(flag for flag in ("i8mm", "sve2") if vectors is _SVE and flag in flags)
        return Goal(*where, tuple(sorted((*vectors, *more))), "armv8-a")
    return Goal(*where)
