"""Every element type that a signature can have, in JSON and as bytes, both ways."""

from __future__ import annotations

import json

import httpx
import numpy as np
import pytest

from torchship.errors import UnavailableError
from torchship.serve.v2.datatypes import check_servable
from torchship.serve.v2.message import Input
from torchship.serve.v2.reader import Question, RequestReader, Wanted
from torchship.serve.v2.tensors import TensorReader
from torchship.serve.v2.writer import ResponseWriter
from torchship.signature import Dim, Leaf, Parameter, Signature, TensorSpec

HEAD = "inference-header-content-length"
NAMES = {
    "bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64", "int8": "INT8",
    "int16": "INT16", "int32": "INT32", "int64": "INT64", "float16": "FP16", "float32": "FP32", "float64": "FP64",
}  # fmt: skip


def values(name: str) -> np.ndarray:
    """The ends of each type's range."""
    dtype = np.dtype(name)
    if dtype.kind == "b":
        return np.array([[True, False, True]])
    if dtype.kind in "iu":
        return np.array([[np.iinfo(dtype).min, 1, np.iinfo(dtype).max]], dtype)
    return np.array([[-1.5, np.finfo(dtype).max, np.finfo(dtype).tiny]], dtype)


@pytest.fixture(scope="module")
def server(start, echoes):
    with start(echoes, "--workers", "1") as running:
        yield running


def test_json_both_ways(server):
    tensors = [
        {"name": name, "shape": [1, 3], "datatype": datatype, "data": values(name).tolist()}
        for name, datatype in NAMES.items()
    ]
    body = httpx.post(server.path(), json={"inputs": tensors}).json()
    got = {output["name"]: output for output in body["outputs"]}
    for name, datatype in NAMES.items():
        output = got[f"{name}_out"]
        assert output["datatype"] == datatype
        np.testing.assert_array_equal(np.array([output["data"]], name), values(name), err_msg=name)


def test_bytes_both_ways(server):
    tensors, tail = [], b""
    for name, datatype in NAMES.items():
        raw = values(name).astype(np.dtype(name).newbyteorder("<")).tobytes()
        size = {"binary_data_size": len(raw)}
        tensors.append({"name": name, "shape": [1, 3], "datatype": datatype, "parameters": size})
        tail += raw
    text = json.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}}).encode()
    answer = httpx.post(server.path(), content=text + tail, headers={HEAD: str(len(text))})
    at = int(answer.headers[HEAD])
    for output in json.loads(answer.content[:at])["outputs"]:
        name = output["name"].removesuffix("_out")
        size = output["parameters"]["binary_data_size"]
        got = np.frombuffer(answer.content[at : at + size], np.dtype(name).newbyteorder("<"))
        np.testing.assert_array_equal(got.reshape(1, 3), values(name), err_msg=name)
        at += size
    assert at == len(answer.content)


def test_metadata_names_them(server):
    inputs = httpx.get(server.path("")).json()["inputs"]
    assert {tensor["name"]: tensor["datatype"] for tensor in inputs} == NAMES
    assert all(tensor["shape"] == [-1, 3] for tensor in inputs)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([2, 0, 0], "1 and 0"),
        ([0.5, 0, 0], "true and false"),
        (["true", 0, 0], "true and false"),
        ([None, 1, 0], "true"),
    ],
)
def test_what_is_no_truth_value(data, sentence):
    refused_of("bool", sentence, shape=[1, 3], data=data)


def test_truth_values_may_be_ones_and_zeros():
    assert read_of("bool", shape=[1, 3], data=[1, 0, 1]).tolist() == [[True, False, True]]


@pytest.mark.parametrize(
    ("name", "number"),
    [("int8", 128), ("int8", -129), ("uint16", 65536), ("int32", 2**31), ("uint32", -1), ("uint64", -1),
     ("int64", 2**63), ("float16", 65520.0), ("float32", 1e39), ("uint64", 1e19)],
)  # fmt: skip
def test_what_a_type_cannot_hold_is_refused_not_wrapped(name, number):
    refused_of(name, "beyond", shape=[1, 1], data=[number])


def test_whole_numbers_beyond_doubles_stay_exact():
    assert read_of("int64", shape=[1, 1], data=[2**53 + 1]).tolist() == [[2**53 + 1]]
    assert read_of("uint64", shape=[1, 1], data=[2**64 - 1]).tolist() == [[2**64 - 1]]


def lone(name: str) -> Signature:
    spec = TensorSpec("x", name, ("batch", "size"))
    return Signature((spec,), (spec,), (Dim("batch"), Dim("size", 0)), (Parameter("x", Leaf(0)),), Leaf(0))


def message(name: str, shape: list[int], data: object) -> bytes:
    datatype = {**NAMES, "bfloat16": "BF16"}[name]
    return json.dumps({"inputs": [{"name": "x", "shape": shape, "datatype": datatype, "data": data}]}).encode()


def read_of(name: str, shape: list[int], data: object) -> np.ndarray:
    return RequestReader(lone(name)).read(message(name, shape, data), None)[1][0]


def refused_of(name: str, sentence: str, shape: list[int], data: object) -> None:
    from torchship.serve.refusal import Refusal

    with pytest.raises(Refusal, match=sentence) as refused:
        read_of(name, shape, data)
    assert refused.value.status == 400


def test_bfloat16_travels_as_upper_halves():
    signature = lone("bfloat16")
    numbers = np.array([[1.0, -2.5, 3e38, 0.0]], np.float32)
    halves = (numbers.view(np.uint32) >> 16).astype("<u2")
    text = json.dumps(
        {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "BF16", "parameters": {"binary_data_size": 8}}]}
    ).encode()
    _, read = RequestReader(signature).read(text + halves.tobytes(), len(text))
    np.testing.assert_array_equal(read[0].view(np.uint32), halves.astype(np.uint32) << 16)
    _, parts, _ = ResponseWriter(signature, "m", "1").write(Question([Wanted(0, True)]), read)
    assert bytes(parts[1]) == halves.tobytes()


def test_bfloat16_is_rounded_to_the_nearest_ties_to_even():
    ties = np.array([0x3F808000, 0x3F818000, 0x3F808001, 0x7FC00001, 0x7F800000, 0xFF800000], np.uint32)
    _, parts, _ = ResponseWriter(lone("bfloat16"), "m", "1").write(
        Question([Wanted(0, True)]), [ties.view(np.float32)[None]]
    )
    assert np.frombuffer(parts[1], "<u2").tolist() == [0x3F80, 0x3F82, 0x3F81, 0x7FC0, 0x7F80, 0xFF80]


def test_bytes_that_lie_at_an_odd_place_are_moved():
    reader = TensorReader(lone("float64"), lone("float64").inputs[0])
    tail = memoryview(b"x" + np.array([1.5, 2.5]).tobytes())[1:]
    array = reader.read(Input("x", [1, 2], "FP64"), tail, {})
    assert array.flags.aligned
    assert array.tolist() == [[1.5, 2.5]]


def test_an_empty_axis_needs_no_memory():
    assert read_of("float32", [3, 0], []).shape == (3, 0)
    assert read_of("float32", [3, 0], [[], [], []]).shape == (3, 0)
    refused_of("float32", "0 elements, data has 1", [10**18, 0], [1.0])


def test_complex_numbers_cannot_be_served():
    spec = TensorSpec("x", "complex64", ("batch",))
    with pytest.raises(UnavailableError, match="no element type"):
        check_servable(Signature((spec,), (spec,), (Dim("batch"),), (Parameter("x", Leaf(0)),), Leaf(0)))
