"""Whatever a client sends, it is answered, by less than 500, and the next one is served."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torchship.serve.refusal import Refusal
from torchship.serve.v2.reader import RequestReader
from torchship.signature import Dim, Leaf, Parameter, Signature, TensorSpec

MANY = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
FEWER = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
DTYPES = {
    "bool": "BOOL", "uint8": "UINT8", "int8": "INT8", "uint64": "UINT64", "int64": "INT64", "float16": "FP16",
    "float32": "FP32", "float64": "FP64", "bfloat16": "BF16",
}  # fmt: skip

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)
shapes = st.lists(st.integers(-2, 4) | st.sampled_from([2**31, 2**63, 10**30]), max_size=4)
numbers = st.lists(st.integers(-300, 300) | st.integers() | st.floats() | st.booleans(), max_size=12)


def signature(dtype: str) -> Signature:
    spec = TensorSpec("x", dtype, ("batch", 2))
    return Signature((spec,), (spec,), (Dim("batch", 1, 3),), (Parameter("x", Leaf(0)),), Leaf(0))


READERS = {dtype: RequestReader(signature(dtype)) for dtype in DTYPES}


def often(usual: object, other: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(st.just(usual), st.just(usual), st.just(usual), other)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, bytes, int | None]:
    """A request that is right in most of its parts, and what its JSON's length is said to be."""
    dtype = draw(st.sampled_from(sorted(DTYPES)))
    tensor: dict[str, object] = {
        "name": draw(often("x", anything)),
        "shape": draw(often([2, 2], shapes)),
        "datatype": draw(often(DTYPES[dtype], st.sampled_from(["BYTES", "fp32", "", None]))),
    }
    tail = b""
    if draw(st.booleans()):
        tensor["data"] = draw(numbers | st.lists(numbers, max_size=3) | anything)
    else:
        tail = draw(st.binary(max_size=40))
        tensor["parameters"] = {"binary_data_size": draw(often(len(tail), st.integers() | anything))}
    body: dict[str, object] = {"inputs": draw(often([tensor], anything))}
    for name in ("outputs", "id", "parameters"):
        if draw(st.integers(0, 4)) == 0:
            body[name] = draw(anything)
    text = json.dumps(body).encode()
    return dtype, text + tail, draw(often(len(text) if tail else None, st.integers(0, 300)))


@MANY
@given(requests())
def test_a_request_is_read_or_refused(made):
    dtype, body, head = made
    reader = READERS[dtype]
    try:
        _, arrays = reader.read(body, head)
    except Refusal as refusal:
        check_refusal(refusal)
        return
    (array,) = arrays
    assert array.ndim == 2
    assert 1 <= array.shape[0] <= 3
    assert array.shape[1] == 2
    assert array.flags.c_contiguous
    assert array.flags.aligned
    assert not (array.dtype.kind == "f" and np.isnan(array).any())


@MANY
@given(st.binary(max_size=200), st.none() | st.integers(0, 250), st.sampled_from(sorted(DTYPES)))
def test_noise_is_refused(body, head, dtype):
    try:
        READERS[dtype].read(body, head)
    except Refusal as refusal:
        check_refusal(refusal)


def check_refusal(refusal: Refusal) -> None:
    assert refusal.status == 400
    assert refusal.what


GOOD = json.dumps(
    {"inputs": [{"name": "image", "shape": [1, 1, 28, 28], "datatype": "UINT8", "data": [7] * 784}], "id": "g"}
).encode()


def mutated(data: st.DataObject, text: bytes) -> bytes:
    """A few bytes changed, cut, or doubled."""
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, len(text) - 1)))
        kind = data.draw(st.sampled_from(["change", "cut", "insert", "double", "drop"]))
        some = data.draw(
            st.binary(min_size=1, max_size=4) | st.sampled_from([b"\r\n", b"[", b'"', b"1e999", b"\\u0000"])
        )
        if kind == "change":
            text = text[:at] + some + text[at + len(some) :]
        elif kind == "cut":
            text = text[:at]
        elif kind == "insert":
            text = text[:at] + some + text[at:]
        elif kind == "double":
            text = text[:at] + text[at : at + 40] + text[at:]
        else:
            text = text[:at] + text[at + 1 :]
    return text


def exchange(port: int, data: bytes) -> list[int]:
    """Send, close the sending side, and give the statuses of what comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        with contextlib.suppress(OSError):  # it has closed already
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while read := client.recv(65536):
                answer += read
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d\d\d) ", answer)]


def check(port: int, data: bytes) -> None:
    assert all(status < 500 for status in exchange(port, data)), data
    head = b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    assert exchange(port, head % len(GOOD) + GOOD) == [200]


@FEWER
@given(data=st.data())
def test_mutated_bodies(digits_server, data):
    body = mutated(data, GOOD)
    head = b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    check(digits_server.port, head + body)


@FEWER
@given(data=st.data())
def test_mutated_requests(digits_server, data):
    head = b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nInference-Header-Content-Length: %d\r\n"
    whole = head % len(GOOD) + b"Content-Length: %d\r\n\r\n" % len(GOOD) + GOOD
    cut = data.draw(st.integers(0, 300))
    check(digits_server.port, mutated(data, whole[:cut]) + whole[cut:])


@FEWER
@given(st.binary(max_size=300))
def test_noise_on_the_socket(digits_server, noise):
    check(digits_server.port, noise)


@pytest.mark.slow
def test_the_server_does_not_grow_under_bad_requests(digits_server):
    def resident() -> int:
        pid = digits_server.workers()[0]
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))

    bad = [GOOD[:-1], b"[" * 50_000, GOOD.replace(b"[7,", b"[1e999,"), GOOD.replace(b'"x', b"\xff"), bytes(100_000)]
    head = b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"

    def round_of(count: int) -> None:
        for number in range(count):
            body = bad[number % len(bad)]
            assert exchange(digits_server.port, head % len(body) + body)[0] < 500

    round_of(1000)
    before = resident()
    round_of(4000)
    assert resident() < before * 1.03 + 1024
