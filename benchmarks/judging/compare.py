"""Holds an answer against eager's: rtol 1e-3 and atol 1e-4 of the largest value, integers and structure exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from nest import Record

RELATIVE, ABSOLUTE = 1e-3, 1e-4
COARSE = 3e-2  # both, where the model computes in 16 bits


def difference(want: Any, got: Any, coarse: bool, at: str = "result") -> str | None:
    """Say how ``got`` departs from ``want`` (both plain); None where it doesn't."""
    if isinstance(want, Record):
        return _fields(want.fields, got.fields if isinstance(got, Record) else got, coarse, at)
    if isinstance(want, dict):
        return _fields(want, got, coarse, at)
    if isinstance(want, (list, tuple)):
        return _items(want, got, coarse, at)
    if isinstance(want, np.ndarray):
        return _arrays(want, got, coarse, at)
    same = type(want) is type(got) and want == got
    return None if same else f"{at} is {got!r} instead of {want!r}"


def _fields(want: dict[Any, Any], got: Any, coarse: bool, at: str) -> str | None:
    if not isinstance(got, dict):
        return f"{at} is a {type(got).__name__}, not the fields {', '.join(map(str, want))}"
    if list(want) != list(got):
        return f"{at} has the fields {list(got)} instead of {list(want)}"
    found = (difference(item, got[key], coarse, f"{at}.{key}") for key, item in want.items())
    return next((each for each in found if each), None)


def _items(want: list[Any] | tuple[Any, ...], got: Any, coarse: bool, at: str) -> str | None:
    if type(got) is not type(want) or len(got) != len(want):
        return f"{at} is a {type(got).__name__} instead of a {type(want).__name__} of {len(want)}"
    found = (difference(item, got[place], coarse, f"{at}[{place}]") for place, item in enumerate(want))
    return next((each for each in found if each), None)


def _arrays(want: np.ndarray[Any, Any], got: Any, coarse: bool, at: str) -> str | None:
    if not isinstance(got, (np.ndarray, np.generic)):
        return f"{at} is a {type(got).__name__}, no array"
    got = np.asarray(got)
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{at} is {got.dtype}{list(got.shape)} instead of {want.dtype}{list(want.shape)}"
    if want.dtype.kind not in "fc":
        wrong = int((want != got).sum())
        return f"{at}: {wrong} of {want.size} {want.dtype} differ" if wrong else None
    finite = np.isfinite(want)
    scale = float(np.abs(want[finite]).max()) if finite.any() else 0.0
    wide = np.complex128 if want.dtype.kind == "c" else np.float64
    relative, absolute = (COARSE, COARSE) if coarse else (RELATIVE, ABSOLUTE)
    close = np.isclose(got.astype(wide), want.astype(wide), rtol=relative, atol=absolute * scale, equal_nan=True)
    if close.all():
        return None
    worst = np.nanmax(np.where(close, 0, np.abs(np.nan_to_num(got.astype(wide)) - np.nan_to_num(want.astype(wide)))))
    return f"{at}: {int((~close).sum())} of {want.size} differ, by up to {worst:.3g} at a scale of {scale:.3g}"
