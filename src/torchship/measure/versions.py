"""Which versions of packages are here, and whether one fits a specifier such as ``>=2.10,<3``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable

_PART = re.compile(r"\s*(>=|<=|==|!=|<|>|)\s*(\d+(?:\.\d+)*)[\w.+]*\s*")
_TESTS: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
    "<": operator.lt, ">": operator.gt,
}  # fmt: skip


def installed(package: str) -> str | None:
    """Give the version of an installed distribution; None where it isn't installed. Nothing of it is imported."""
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def fits(version: str, specifier: str) -> bool:
    """Whether ``version`` meets every part of ``specifier``; of a bare version only the parts given are compared.

    Only release numbers count: ``2.13.0+cpu`` is 2.13.0. An unreadable specifier is met by nothing.
    """
    matched = re.match(r"\d+(\.\d+)*", version)
    if matched is None:
        return False
    have = _numbers(matched[0])
    for part in specifier.split(","):
        wanted = _PART.fullmatch(part)
        if wanted is None or not _meets(have, wanted[1], _numbers(wanted[2])):
            return False
    return True


def _meets(have: tuple[int, ...], test: str, want: tuple[int, ...]) -> bool:
    if test == "":
        return have[: len(want)] == want
    width = max(len(have), len(want))
    return _TESTS[test](have + (0,) * (width - len(have)), want + (0,) * (width - len(want)))


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(number) for number in release.split("."))
