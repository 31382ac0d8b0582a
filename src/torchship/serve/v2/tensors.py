"""One input tensor, from JSON numbers or from bytes, held against its place in the signature."""

from __future__ import annotations

from math import inf, prod
from operator import le
from typing import Any

import msgspec
import numpy as np
import simdjson

from torchship.errors import InputError
from torchship.serve.refusal import Refusal, from_error
from torchship.serve.v2.datatypes import BF16, datatype
from torchship.serve.v2.message import Input
from torchship.signature import Signature, TensorSpec, numpy_dtype
from torchship.signature.check import check_numbers, check_shape
from torchship.targets import Array

_NO_BRACKETS = bytes(set(range(256)) - set(b"[],"))
_EXACT = 2.0**53  # up to here every whole number is a double


class TensorReader:
    """Reads one input of a signature."""

    def __init__(self, signature: Signature, spec: TensorSpec) -> None:
        self.name = spec.name
        self._signature = signature
        self._spec = spec
        self._datatype = datatype(spec.dtype)
        self._dtype = numpy_dtype(spec.dtype)
        self._wire = np.dtype("<u2") if self._datatype == BF16 else self._dtype.newbyteorder("<")
        self._floating = self._dtype.kind == "f"
        bounds = [_bounds(signature, size) for size in spec.shape]
        self._least = tuple(least for least, _ in bounds)
        self._most = tuple(most for _, most in bounds)
        self._dims = tuple((axis, size) for axis, size in enumerate(spec.shape) if isinstance(size, str))

    def read(self, given: Input, tail: memoryview | None, sizes: dict[str, int]) -> Array:
        """Give the array; ``sizes`` holds the sizes of the dims that inputs before it had.

        Raises:
            Refusal: 400.
        """
        if given.datatype != self._datatype:
            raise Refusal(400, f"input {self.name} is {given.datatype}, the model takes {self._datatype}")
        shape = tuple(given.shape)
        self._check_shape(shape, sizes)
        if tail is not None:
            if given.data is not msgspec.UNSET:
                raise Refusal(400, f"input {self.name} has both data and binary_data_size")
            array = self._from_bytes(tail, shape)
        elif given.data is msgspec.UNSET:
            raise Refusal(400, f"input {self.name} has neither data nor binary_data_size")
        else:
            array = self._from_json(given.data, shape)
        return self._without_nan(array)

    def from_all(self, body: memoryview) -> Array:
        """Give the array whose bytes ``body`` is; a dynamic first axis takes what size that needs.

        Raises:
            Refusal: 400.
        """
        fixed = [size for size in self._spec.shape[1:] if isinstance(size, int)]
        if len(fixed) != len(self._spec.shape[1:]):
            raise Refusal(400, f"input {self.name} has several dynamic sizes: give the shape in JSON")
        row = prod(fixed) * self._wire.itemsize
        if not self._spec.shape or isinstance(self._spec.shape[0], int):
            shape: tuple[int, ...] = tuple(int(size) for size in self._spec.shape)
        else:
            shape = (len(body) // row if row else 0, *fixed)
        self._check_shape(shape, {})
        return self._without_nan(self._from_bytes(body, shape))

    def _check_shape(self, shape: tuple[int, ...], sizes: dict[str, int]) -> None:
        """``check_shape`` has the sentences, and takes longer."""
        fits = len(shape) == len(self._least) and all(map(le, self._least, shape)) and all(map(le, shape, self._most))
        if fits and all(sizes.setdefault(name, shape[axis]) == shape[axis] for axis, name in self._dims):
            return
        try:
            check_shape(self._signature, self._spec, shape, sizes)
        except InputError as error:
            raise from_error(error) from error

    # -- bytes ----------------------------------------------------------------------------------------------------

    def _from_bytes(self, tail: memoryview, shape: tuple[int, ...]) -> Array:
        needed = prod(shape) * self._wire.itemsize
        if len(tail) != needed:
            told = f"{list(shape)} of {self._datatype} is {needed} bytes, it has {len(tail)}"
            raise Refusal(400, f"input {self.name}: {told}")
        flat: Array = np.frombuffer(tail, self._wire)
        if self._datatype == BF16:
            flat = (flat.astype(np.uint32) << 16).view(np.float32)
        elif self._dtype.kind == "b":
            flat = self._truths(np.frombuffer(tail, np.uint8))
        if not flat.flags.aligned or not flat.dtype.isnative:
            flat = flat.astype(self._dtype)
        return flat.reshape(shape)

    def _truths(self, numbers: Array) -> Array:
        if ((numbers < 0) | (numbers > 1)).any():
            raise Refusal(400, f"input {self.name} is BOOL: its elements are 0 or 1, or true or false")
        return numbers.astype(np.bool_)

    def _without_nan(self, array: Array) -> Array:
        if self._floating and array.size and np.isnan(np.minimum.reduce(array, axis=None)):
            try:
                check_numbers(self._signature_of_one(), [array])
            except InputError as error:
                raise from_error(error) from error
        return array

    def _signature_of_one(self) -> Signature:
        return msgspec.structs.replace(self._signature, inputs=(self._spec,))

    # -- JSON -----------------------------------------------------------------------------------------------------

    def _from_json(self, data: msgspec.Raw, shape: tuple[int, ...]) -> Array:
        text = bytes(data)
        flat = self._json_truths(text) if self._dtype.kind == "b" else self._json_numbers(text)
        if flat.size != prod(shape):
            raise Refusal(400, f"input {self.name}: {list(shape)} is {prod(shape)} elements, data has {flat.size}")
        if flat.size and text.count(b"[") > 1 and text.translate(None, _NO_BRACKETS) != _nesting(shape):
            raise Refusal(400, f"input {self.name}: data is nested otherwise than {list(shape)}; flat will do too")
        return flat.reshape(shape)

    def _json_numbers(self, text: bytes) -> Array:
        # A parser of its own for each text: a shared one is locked by what an error's traceback still holds, and
        # keeps the memory that the largest text took.
        try:
            parsed = simdjson.Parser().parse(text)
            if not isinstance(parsed, simdjson.Array):
                raise Refusal(400, f"input {self.name}: data must be an array")
            if self._floating:
                return self._narrowed(np.frombuffer(parsed.as_buffer(of_type="d"), np.float64))
            return self._whole(parsed)
        except TypeError as error:
            raise Refusal(400, f"input {self.name}: data must hold numbers alone, for {self._datatype}") from error
        except (ValueError, RuntimeError) as error:
            raise Refusal(400, f"input {self.name}: data can't be read: {error}") from error

    def _whole(self, parsed: Any) -> Array:
        signed = self._dtype != np.uint64
        try:
            buffer = parsed.as_buffer(of_type="i" if signed else "u")
            return self._narrowed(np.frombuffer(buffer, np.int64 if signed else np.uint64))
        except ValueError as error:
            raise self._beyond() from error
        except TypeError:  # perhaps 3.0, which is whole
            numbers = np.frombuffer(parsed.as_buffer(of_type="d"), np.float64)
            if (np.floor(numbers) != numbers).any():
                raise Refusal(400, f"input {self.name}: data must hold whole numbers, for {self._datatype}") from None
            if (np.abs(numbers) > _EXACT).any():
                raise self._beyond() from None
            return self._narrowed(numbers.astype(np.int64))

    def _narrowed(self, numbers: Array) -> Array:
        """Numbers of 64 bits in the model's type; what it can't hold is refused, not wrapped around."""
        if self._floating:
            with np.errstate(over="ignore"):
                narrow: Array = numbers.astype(self._dtype)
            lost = not np.isfinite(narrow).all()
        else:
            narrow = numbers.astype(self._dtype)
            lost = (narrow != numbers).any()
        if lost:
            raise self._beyond()
        return narrow

    def _beyond(self) -> Refusal:
        return Refusal(400, f"input {self.name}: data holds a number beyond {self._datatype}")

    def _json_truths(self, text: bytes) -> Array:
        try:
            array = np.asarray(msgspec.json.decode(text))
        except (ValueError, RecursionError) as error:
            raise Refusal(400, f"input {self.name}: data can't be read: {error}") from error
        if array.dtype == np.bool_ or array.size == 0:
            return array.astype(np.bool_).ravel()
        if array.dtype != np.int64:
            raise Refusal(400, f"input {self.name}: data must hold true and false (or 1 and 0) alone, for BOOL")
        return self._truths(array.ravel())


def _bounds(signature: Signature, size: int | str) -> tuple[int, float]:
    if isinstance(size, int):
        return size, size
    dim = signature.dim(size)
    return dim.min, inf if dim.max is None else dim.max


def _nesting(shape: tuple[int, ...]) -> bytes:
    """The brackets and commas of an array of this shape, written as nested lists."""
    inner = b"[" + b"," * (shape[-1] - 1) + b"]" if shape else b""
    for size in reversed(shape[:-1]):
        inner = b"[" + b",".join([inner] * size) + b"]"
    return inner
