"""One input tensor, from JSON or from bytes, held against its place in the signature."""

from __future__ import annotations

from math import inf, prod
from operator import le

import msgspec
import numpy as np

from torchship.errors import InputError
from torchship.serve.refusal import Refusal, from_error
from torchship.serve.v2.datatypes import BF16, datatype
from torchship.serve.v2.message import Input
from torchship.serve.v2.numbers import NumberReader
from torchship.signature import Signature, TensorSpec, numpy_dtype
from torchship.signature.check import check_numbers, check_shape
from torchship.targets import Array

_NO_BRACKETS = bytes(set(range(256)) - set(b"[],"))


class TensorReader:
    """Reads one input of a signature."""

    def __init__(self, signature: Signature, spec: TensorSpec) -> None:
        self.name = spec.name
        self._signature = signature
        self._spec = spec
        self._datatype = datatype(spec.dtype)
        self._dtype = numpy_dtype(spec.dtype)
        self._numbers = NumberReader(spec.name, self._datatype, self._dtype)
        self._wire = np.dtype("<u2") if self._datatype == BF16 else self._dtype.newbyteorder("<")
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
            return self.from_bytes(tail, shape)
        if given.data is msgspec.UNSET:
            raise Refusal(400, f"input {self.name} has neither data nor binary_data_size")
        return self._from_json(bytes(given.data), shape)

    def from_all(self, body: memoryview) -> Array:
        """Give the array whose bytes ``body`` is; a dynamic first axis takes what size that needs.

        Raises:
            Refusal: 400.
        """
        first, *rest = self._spec.shape or (1,)
        if any(isinstance(size, str) for size in rest):
            raise Refusal(400, f"input {self.name} has several dynamic sizes: give the shape in JSON")
        fixed = [int(size) for size in rest]
        row = prod(fixed) * self._wire.itemsize
        if isinstance(first, str):
            first = len(body) // row if row else 0
        shape = (first, *fixed) if self._spec.shape else ()
        self._check_shape(shape, {})
        return self.from_bytes(body, shape)

    def from_bytes(self, tail: memoryview, shape: tuple[int, ...]) -> Array:
        """Give the array of this shape, which was found right; refuses (400) another number of bytes, and NaN."""
        needed = prod(shape) * self._wire.itemsize
        if len(tail) != needed:
            told = f"{list(shape)} of {self._datatype} is {needed} bytes, it has {len(tail)}"
            raise Refusal(400, f"input {self.name}: {told}")
        flat: Array = np.frombuffer(tail, self._wire if self._dtype.kind != "b" else np.uint8)
        if self._datatype == BF16:
            flat = (flat.astype(np.uint32) << 16).view(np.float32)
        elif self._dtype.kind == "b":
            if (flat > 1).any():
                raise Refusal(400, f"input {self.name} is BOOL: its bytes are 0 or 1")
            flat = flat.astype(np.bool_)
        elif not flat.flags.aligned or not flat.dtype.isnative:
            flat = flat.astype(self._dtype)
        return self._without_nan(flat.reshape(shape))

    def _check_shape(self, shape: tuple[int, ...], sizes: dict[str, int]) -> None:
        """``check_shape`` has the sentences, and takes longer."""
        fits = len(shape) == len(self._least) and all(map(le, self._least, shape)) and all(map(le, shape, self._most))
        if fits:
            for axis, name in self._dims:
                if sizes.setdefault(name, shape[axis]) != shape[axis]:
                    break
            else:
                return
        try:
            check_shape(self._signature, self._spec, shape, sizes)
        except InputError as error:
            raise from_error(error) from error

    def _from_json(self, text: bytes, shape: tuple[int, ...]) -> Array:
        flat = self._numbers.read(text)
        if flat.size != prod(shape):
            raise Refusal(400, f"input {self.name}: {list(shape)} is {prod(shape)} elements, data has {flat.size}")
        if text.rfind(b"[") > 0 and flat.size and text.translate(None, _NO_BRACKETS) != _nesting(shape):
            raise Refusal(400, f"input {self.name}: data is nested otherwise than {list(shape)}; flat will do too")
        return flat.reshape(shape)

    def _without_nan(self, array: Array) -> Array:
        if self._dtype.kind == "f" and array.size and np.isnan(np.minimum.reduce(array, axis=None)):
            try:
                check_numbers(msgspec.structs.replace(self._signature, inputs=(self._spec,)), [array])
            except InputError as error:
                raise from_error(error) from error
        return array


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
