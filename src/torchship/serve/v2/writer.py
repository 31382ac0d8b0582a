"""From arrays to the bytes of an inference response."""

from __future__ import annotations

import sys

import msgspec
import numpy as np

from torchship.serve.http.exchange import JSON, Part
from torchship.serve.v2.datatypes import BF16, datatype
from torchship.serve.v2.reader import Question
from torchship.signature import Signature
from torchship.targets import Array

BINARY = b"application/octet-stream"
_COPIED = 64 * 1024  # below this, a copy is cheaper than a view that says the same
_encode = msgspec.json.Encoder().encode


class ResponseWriter:
    """Writes responses for one model."""

    def __init__(self, signature: Signature, name: str, version: str) -> None:
        self._open = b'{"model_name":%b,"model_version":%b' % (_encode(name), _encode(version))
        self._heads = [
            b'{"name":%b,"datatype":"%b","shape":' % (_encode(spec.name), datatype(spec.dtype).encode())
            for spec in signature.outputs
        ]
        self._halves = [datatype(spec.dtype) == BF16 for spec in signature.outputs]

    def write(self, question: Question, answers: list[Array]) -> tuple[bytes, list[Part], bytes]:
        """Give the content type, the body's parts, and header lines. NaN and infinities are null in JSON."""
        tails: list[Part] = []
        outputs = [
            self._binary(wanted.index, answers[wanted.index], tails)
            if wanted.binary
            else self._json(wanted.index, answers[wanted.index])
            for wanted in question.outputs
        ]
        own = b',"id":' + _encode(question.id) if question.id else b""
        text = b'%b%b,"outputs":[%b]}' % (self._open, own, b",".join(outputs))
        if not tails:
            return JSON, [text], b""
        return BINARY, [text, *tails], b"inference-header-content-length: %d\r\n" % len(text)

    def _json(self, index: int, answer: Array) -> bytes:
        return b'%b%b,"data":%b}' % (self._heads[index], _encode(answer.shape), _encode(answer.ravel().tolist()))

    def _binary(self, index: int, answer: Array, tails: list[Part]) -> bytes:
        raw = _upper_halves(answer) if self._halves[index] else answer
        if sys.byteorder == "big":
            raw = raw.astype(raw.dtype.newbyteorder("<"))
        tails.append(
            raw.tobytes() if raw.nbytes < _COPIED else np.ascontiguousarray(raw).reshape(-1).view(np.uint8).data
        )
        told = b'%b%b,"parameters":{"binary_data_size":%d}}'
        return told % (self._heads[index], _encode(answer.shape), raw.nbytes)


def _view(raw: Array) -> memoryview:
    return np.ascontiguousarray(raw).reshape(-1).view(np.uint8).data


def _upper_halves(answer: Array) -> Array:
    """Float32 to bfloat16's bits, to the nearest, ties to even; NaN stays NaN."""
    bits = answer.astype(np.float32, copy=False).view(np.uint32).astype(np.uint64)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(answer), np.uint16(0x7FC0), rounded)
