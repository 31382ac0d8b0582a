"""JSON's numbers as an array of one element type; what the type can't hold is refused, never wrapped around."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import simdjson

from torchship.serve.refusal import Refusal
from torchship.targets import Array

_EXACT = 2.0**53  # up to here every whole number is a double


class NumberReader:
    """Reads the ``data`` of one input, flat or nested, into a flat array."""

    def __init__(self, name: str, datatype: str, dtype: np.dtype[Any]) -> None:
        self._name = name
        self._datatype = datatype
        self._dtype = dtype
        self._most = np.iinfo(dtype).max if dtype.kind in "iu" else 0

    def read(self, text: bytes) -> Array:
        """Give the elements in their order.

        Raises:
            Refusal: 400.
        """
        # A parser of its own for each text: a shared one is locked by what an error's traceback still holds, and
        # keeps the memory that the largest text took.
        try:
            if self._dtype.kind == "b":
                return self._truths(text)
            parsed = simdjson.Parser().parse(text)
            if not isinstance(parsed, simdjson.Array):
                raise self._refusal("data must be an array")
            if self._dtype.kind == "f":
                return self._floating(np.frombuffer(parsed.as_buffer(of_type="d"), np.float64))
            return self._whole(parsed)
        except TypeError as error:
            raise self._refusal(f"data must hold numbers alone, for {self._datatype}") from error
        except RuntimeError as error:  # whole numbers of more than 64 bits, and too many brackets
            raise self._refusal("data holds a whole number of more than 64 bits, or is nested too deeply") from error
        except (ValueError, RecursionError) as error:
            raise self._refusal("data isn't a JSON array of numbers") from error

    def _floating(self, numbers: Array) -> Array:
        with np.errstate(over="ignore"):
            narrow: Array = numbers.astype(self._dtype)
        if not np.isfinite(narrow).all():
            raise self._beyond()
        return narrow

    def _whole(self, parsed: Any) -> Array:
        signed = self._dtype != np.uint64
        try:
            buffer = parsed.as_buffer(of_type="i" if signed else "u")
        except ValueError as error:
            raise self._beyond() from error
        except TypeError:  # perhaps 3.0, which is whole
            numbers = np.frombuffer(parsed.as_buffer(of_type="d"), np.float64)
            if (np.floor(numbers) != numbers).any():
                raise self._refusal(f"data must hold whole numbers, for {self._datatype}") from None
            if (np.abs(numbers) > _EXACT).any():
                raise self._beyond() from None
            return self._narrowed(numbers.astype(np.int64))
        return self._narrowed(np.frombuffer(buffer, np.int64 if signed else np.uint64))

    def _narrowed(self, numbers: Array) -> Array:
        narrow = numbers.astype(self._dtype)
        if self._dtype.kind == "u":  # all bits together: none beyond the type's, nor the sign's
            lost = not 0 <= int(np.bitwise_or.reduce(numbers)) <= self._most
        else:
            lost = bool((narrow != numbers).any())
        if lost:
            raise self._beyond()
        return narrow

    def _truths(self, text: bytes) -> Array:
        array = np.asarray(msgspec.json.decode(text))
        if array.dtype == np.bool_ or array.size == 0:
            return array.astype(np.bool_).ravel()
        if array.dtype != np.int64 or ((array < 0) | (array > 1)).any():
            raise self._refusal("data must hold true and false (or 1 and 0) alone, for BOOL")
        return array.astype(np.bool_).ravel()

    def _beyond(self) -> Refusal:
        return self._refusal(f"data holds a number beyond {self._datatype}")

    def _refusal(self, why: str) -> Refusal:
        return Refusal(400, f"input {self._name}: {why}")
