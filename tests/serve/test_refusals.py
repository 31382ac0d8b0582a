"""What a client gets for its mistakes: the right status and a sentence, and never a 5xx."""

from __future__ import annotations

import gzip
import json

import httpx
import numpy as np
import pytest

HEAD = "inference-header-content-length"
GOOD = {"name": "image", "shape": [1, 1, 28, 28], "datatype": "UINT8", "data": [0] * 784}


def changed(**changes):
    return {"inputs": [{key: value for key, value in {**GOOD, **changes}.items() if value is not ...}]}


WRONG = [
    ("[]", "Expected `object`"),
    ("{}", "`inputs`"),
    ('{"inputs": []}', "missing: image"),
    ('{"inputs": [1]}', "Expected `object`, got `int` - at `$.inputs[0]`"),
    ("{", "isn't JSON"),
    ("", "isn't JSON"),
    ('{"inputs": NaN}', "isn't JSON"),
    ("[" * 100_000, "Expected `object`"),
    ('{"a":' * 100_000, "nested too deeply"),
    (json.dumps({"inputs": [GOOD]}).replace("[0, 0,", "[" * 100_000, 1), "nested too deeply"),
    (changed(name="picture"), "missing: image; unknown: picture"),
    (changed(datatype="FP32"), "image is FP32, the model takes UINT8"),
    (changed(datatype="BYTES"), "image is BYTES, the model takes UINT8"),
    (changed(datatype="nonsense"), "image is nonsense"),
    (changed(shape=[1, 784]), "2 axes instead of 4"),
    (changed(shape=[1, 1, 28, 29]), "axis 3 is 29 instead of 28"),
    (changed(shape=[-1, 1, 28, 28]), "batch (axis 0) is -1"),
    (changed(shape=[0, 1, 28, 28], data=[]), "batch (axis 0) is 0, allowed is 1 to 4096"),
    (changed(shape=[2**62, 1, 28, 28]), "allowed is 1 to 4096"),
    (changed(shape=[10**30, 1, 28, 28]), "allowed is 1 to 4096"),
    (changed(shape=[1.0, 1, 28, 28]), "Expected `int`, got `float`"),
    (changed(shape="1,1,28,28"), "Expected `array`, got `str`"),
    (changed(shape=[2, 1, 28, 28]), "[2, 1, 28, 28] is 1568 elements, data has 784"),
    (changed(data=[0] * 783), "data has 783"),
    (changed(data=[0] * 783 + [256]), "beyond UINT8"),
    (changed(data=[0] * 783 + [-1]), "beyond UINT8"),
    (changed(data=[0] * 783 + [10**30]), "more than 64 bits"),
    (changed(data=[0] * 783 + [2**63]), "beyond UINT8"),
    (changed(data=[0] * 783 + [0.5]), "whole numbers"),
    (changed(data=[0] * 783 + [1e300]), "beyond UINT8"),
    (changed(data=[0] * 783 + ["1"]), "numbers alone"),
    (changed(data=[0] * 783 + [None]), "numbers alone"),
    (changed(data=[0] * 783 + [True]), "numbers alone"),
    (changed(data=[0] * 783 + [{}]), "numbers alone"),
    (changed(data="0" * 784), "must be an array"),
    (changed(data=7), "must be an array"),
    (changed(data={"0": 0}), "must be an array"),
    (changed(data=...), "neither data nor binary_data_size"),
    (changed(data=[[0] * 392, [0] * 392]), "nested otherwise"),
    (changed(data=[0, [0] * 783]), "nested otherwise"),
    (changed(data=[[[[0] * 28] * 27 + [[0] * 27 + [[0]]]]]), "nested otherwise"),
    (changed(parameters={"binary_data_size": 784}), "784 bytes, 0 follow the JSON"),
    (changed(data=..., parameters={"binary_data_size": -1}), "-1 bytes"),
    (changed(data=..., parameters={"binary_data_size": "784"}), "Expected `int | null`, got `str`"),
    (changed(data=..., parameters={"shared_memory_region": "r"}), "shared memory is not offered"),
    ({"inputs": [GOOD, GOOD]}, "an input is there twice"),
    ({"inputs": [GOOD], "outputs": [{"name": "score"}]}, "unknown output 'score'; the model gives: scores"),
    ({"inputs": [GOOD], "outputs": [{"name": "scores", "parameters": {"classification": 3}}]}, "classification"),
    ({"inputs": [GOOD], "outputs": {}}, "Expected `array`"),
    ({"inputs": [GOOD], "id": 7}, "Expected `str`, got `int` - at `$.id`"),
    ({"inputs": [GOOD], "parameters": {"timeout": -5}}, "timeout"),
    ({"inputs": [GOOD], "parameters": {"sequence_id": 9}}, "keeps no state"),
    (json.dumps({"inputs": [GOOD]})[:-1] + ', "inputs": []}', "'inputs' is there twice"),
    (json.dumps({"inputs": [GOOD]}).replace('"shape"', '"shape": [1], "shape"'), "'shape' is there twice"),
    (json.dumps({"inputs": [GOOD]}).replace('"data"', '"data": [1], "data"'), "'data' is there twice"),
    (json.dumps({"inputs": [GOOD]}) + "{}", "isn't JSON"),
    (b'\xef\xbb\xbf{"inputs": []}', "isn't JSON"),
    (b'{"inputs": [{"name": "\xff"}]}', "isn't"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "sentence"), WRONG)
def test_a_wrong_request_is_a_400_that_says_what_is_wrong(digits_server, body, sentence):
    content = body if isinstance(body, (str, bytes)) else json.dumps(body)
    answer = httpx.post(digits_server.path(), content=content)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]


def test_a_number_that_json_has_no_form_for_is_refused(digits_server):
    text = json.dumps({"inputs": [GOOD]}).replace("[0, 0,", "[NaN, 0,", 1)
    answer = httpx.post(digits_server.path(), content=text)
    assert answer.status_code == 400
    assert "isn't a JSON array of numbers" in answer.json()["error"]


def test_a_member_that_only_looks_as_if_it_were_there_twice_is_taken(digits_server):
    body = {"inputs": [GOOD], "id": 'not "data", not "shape", not "inputs"', "parameters": {"data": '"data"'}}
    assert httpx.post(digits_server.path(), json=body).status_code == 200


def test_whole_numbers_may_be_written_as_fractions(digits_server):
    plain = httpx.post(digits_server.path(), json={"inputs": [GOOD]}).json()
    written = httpx.post(digits_server.path(), json=changed(data=[0.0] * 784)).json()
    assert plain == written


IMAGE = {"name": "image", "shape": [1, 1, 28, 28], "datatype": "UINT8"}


@pytest.mark.parametrize(
    ("size", "tail", "length", "sentence"),
    [
        (784, 783, None, "784 bytes, 783 follow the JSON"),
        (784, 785, None, "785 bytes follow the JSON, the inputs account for 784"),
        (783, 783, None, "[1, 1, 28, 28] of UINT8 is 784 bytes, it has 783"),
        (2**62, 784, None, "784 follow the JSON"),
        (784, 784, "100000", "the JSON is said to be 100000 bytes long"),
        (784, 784, "5", "isn't JSON"),
        (784, 784, "-1", "whole number"),
        (784, 784, "9" * 40, "whole number"),
        (784, 784, "0", "of UINT8 is 784 bytes"),
    ],
)
def test_byte_counts_that_lie_are_refused(digits_server, size, tail, length, sentence):
    text = json.dumps({"inputs": [{**IMAGE, "parameters": {"binary_data_size": size}}]}).encode()
    headers = {HEAD: length if length is not None else str(len(text))}
    answer = httpx.post(digits_server.path(), content=text + bytes(tail), headers=headers)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]


def test_nan_is_refused_wherever_it_hides(start, sums):
    good = np.ones((1, 3), "<f4")
    bad = np.array([[1, np.nan, 1]], "<f4")
    inputs = [
        {"name": name, "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": 12}} for name in "ab"
    ]
    text = json.dumps({"inputs": inputs}).encode()
    with start(sums) as server:
        answer = httpx.post(
            server.path(), content=text + good.tobytes() + bad.tobytes(), headers={HEAD: str(len(text))}
        )
        assert answer.status_code == 400
        assert "input b holds NaN, first at [0, 1]" in answer.json()["error"]
        huge = {"inputs": [{"name": n, "shape": [1, 1], "datatype": "FP32", "data": [1e39]} for n in "ab"]}
        answer = httpx.post(server.path(), json=huge)
        assert "beyond FP32" in answer.json()["error"]
        apart = [{"name": n, "shape": [1, s], "datatype": "FP32", "data": [1.0] * s} for n, s in (("a", 2), ("b", 3))]
        answer = httpx.post(server.path(), json={"inputs": apart})
        assert "length (axis 1) is 3 here and 2 in an input before" in answer.json()["error"]
        answer = httpx.post(server.path(), content=good.tobytes(), headers={HEAD: "0"})
        assert "takes 2 inputs" in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status", "sentence"),
    [
        ("GET", "/", 404, "/v2"),
        ("GET", "/v2/models/other", 404, "no model 'other'; this server has: digits"),
        ("POST", "/v2/models/other/infer", 404, "no model 'other'"),
        ("POST", "/v2/models/digits/versions/2/infer", 404, "no version '2'"),
        ("GET", "/v2/models/digits/nothing", 404, "nothing at this path"),
        ("GET", "/v2/models/digits/../../../etc/passwd", 404, ""),
        ("GET", "/v2/models/%2e%2e/%2e%2e/etc/passwd", 404, ""),
        ("GET", "/v2/models/digits/infer", 405, "POST"),
        ("DELETE", "/v2", 405, "GET"),
        ("POST", "/metrics", 405, "GET"),
    ],
)
def test_unknown_paths_and_methods(digits_server, method, path, status, sentence):
    answer = httpx.request(method, digits_server.url + path)
    assert answer.status_code == status
    assert sentence in answer.json()["error"]
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize(
    ("headers", "status", "sentence"),
    [
        ({"content-encoding": "br"}, 415, "'br' isn't offered"),
        ({"content-encoding": "gzip, gzip"}, 415, "isn't offered"),
        ({"content-encoding": "gzip"}, 400, "isn't gzip"),
        ({"content-type": "text/xml"}, 415, "'text/xml' isn't taken"),
        ({"x-request-timeout-ms": "soon"}, 400, "whole number of milliseconds"),
        ({"x-request-timeout-ms": "0"}, 400, "more than none"),
    ],
)
def test_headers_that_are_not_understood(digits_server, headers, status, sentence):
    answer = httpx.post(digits_server.path(), content=json.dumps({"inputs": [GOOD]}), headers=headers)
    assert answer.status_code == status
    assert sentence in answer.json()["error"]


def test_a_body_beyond_the_limit(start, digits):
    with start(digits, "--max-body-mb", "0.01", "--workers", "1") as server:
        answer = httpx.post(server.path(), content=bytes(20_000))
        assert (answer.status_code, "larger than 10485 bytes" in answer.json()["error"]) == (413, True)
        chunks = (bytes(1000) for _ in range(20))
        answer = httpx.post(server.path(), content=chunks)
        assert answer.status_code == 413
        bomb = gzip.compress(bytes(1_000_000))
        answer = httpx.post(server.path(), content=bomb, headers={"content-encoding": "gzip"})
        assert (answer.status_code, "unpacked" in answer.json()["error"]) == (413, True)
        assert httpx.get(f"{server.url}/v2/health/live").status_code == 200


@pytest.mark.parametrize("coding", [gzip.compress(b"{}")[:-4], gzip.compress(b"{}") + b"more"])
def test_a_compressed_body_that_is_cut_short_or_goes_on(digits_server, coding):
    answer = httpx.post(digits_server.path(), content=coding, headers={"content-encoding": "gzip"})
    assert answer.status_code == 400
    assert "cut short" in answer.json()["error"]


def test_an_input_that_the_model_itself_refuses_is_the_clients_mistake(start, fussy, request_of):
    with start(fussy) as server:
        answer = httpx.post(server.path(), json=request_of("word", "INT64", np.array([10])))
        assert answer.status_code == 400
        assert "can't answer this input, though it answers others" in answer.json()["error"]
        answer = httpx.post(server.path(), json=request_of("word", "INT64", np.array([9])))
        assert answer.json()["outputs"][0]["data"] == [36, 37, 38, 39]
