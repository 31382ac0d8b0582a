"""The JSON of a request is read around its numbers; what is read is the same as if it were read as a whole."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torchship.serve.refusal import Refusal
from torchship.serve.v2 import message as module
from torchship.serve.v2.message import Message, parse_message

PIECES = [
    '"data": [1, 2]', '"data":[3]', '"data" :\n[4.5e1,\t-6]', '"data": []', '"data": [[1], [2]]', '"data": "x"',
    '"data": ["data"]', '"data": ["]"]', '"data": {"a": [1]}', '"data": 5', '"data": [1', '"d\\u0061ta": [7]',
    '"x\\"data": [8]', '"name": "data"', '"name": "\\"data\\": [9]"', '"shape": [1]', '"shape": [2, 2]',
    '"datatype": "FP32"', '"parameters": {"data": [10]}', '"parameters": {"binary_data_size": 3}', '"id": "data"',
    '"data": [1, [2]]', '"data": [tru]', '"data": [null]', '"name": "n"', '"name": "m"', '"data": [{}]',
]  # fmt: skip
inputs = st.lists(st.sampled_from(PIECES), max_size=6).map(lambda pieces: "{" + ", ".join(pieces) + "}")
usual = st.lists(st.sampled_from(['"data": [1,2]', '"data":[[1],[2]]', '"data": [3.5]']), min_size=1, max_size=1).map(
    lambda pieces: '{"name": "n", "shape": [2], "datatype": "FP32", ' + pieces[0] + "}"
)
documents = st.builds(
    lambda tensors, after: '{"inputs": [' + ", ".join(tensors) + "]" + "".join(", " + piece for piece in after) + "}",
    st.lists(inputs | usual, min_size=1, max_size=3),
    st.lists(st.sampled_from(PIECES), max_size=2),
)


def outcome(text: bytes, monkeypatch: pytest.MonkeyPatch | None = None) -> object:
    try:
        read = parse_message(text)
    except Refusal as refusal:
        return refusal.status, re.sub(r"\(byte \d+\)", "", refusal.what)
    data = [None if one.data is msgspec.UNSET else bytes(one.data) for one in read.inputs]
    return msgspec.structs.replace(read, inputs=[msgspec.structs.replace(one, data=b"") for one in read.inputs]), data


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents)
def test_reading_around_the_numbers_changes_nothing(document):
    text = document.encode()
    around = outcome(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_parse_around_data", lambda text: None)
        whole = outcome(text)
    assert around == whole


def test_the_usual_request_is_read_around_its_numbers(monkeypatch):
    seen: list[int] = []
    decode = module._decode
    monkeypatch.setattr(module, "_decode", lambda text: seen.append(len(text)) or decode(text))
    tensor = {"name": "x", "shape": [5000], "datatype": "FP32", "data": [0.5] * 5000}
    other = {**tensor, "name": "y", "data": [1] * 5000}
    read = parse_message(json.dumps({"inputs": [tensor, other], "id": "i"}).encode())
    assert len(seen) == 1
    assert seen[0] < 300
    assert [json.loads(bytes(one.data)) for one in read.inputs] == [tensor["data"], other["data"]]
    assert isinstance(read, Message)
