"""``…/infer``: answers compared with the session's own, in every form that the protocol has."""

from __future__ import annotations

import gzip
import json
import zlib

import httpx
import numpy as np
import pytest

from torchship.runtime import load

HEAD = "inference-header-content-length"


def binary(inputs, tail, **extra):
    text = json.dumps({"inputs": inputs, **extra}).encode()
    return {"content": text + tail, "headers": {HEAD: str(len(text))}}


def test_json_in_and_out(digits_server, digits_model, images, request_of):
    answer = httpx.post(digits_server.path(), json=request_of("image", "UINT8", images, id="a-7"))
    assert answer.status_code == 200
    body = answer.json()
    scores = digits_model(images)
    assert {key: body[key] for key in ("model_name", "model_version", "id")} == {
        "model_name": "digits", "model_version": "1", "id": "a-7",
    }  # fmt: skip
    (output,) = body["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("scores", "FP32", [3, 10])
    np.testing.assert_array_equal(np.array(output["data"], np.float32), scores.ravel())


def test_nested_data_is_the_same_as_flat(digits_server, images, request_of):
    flat = request_of("image", "UINT8", images)
    nested = request_of("image", "UINT8", images)
    nested["inputs"][0]["data"] = images.tolist()
    answers = [httpx.post(digits_server.path(), json=body).json() for body in (flat, nested)]
    spaced = httpx.post(digits_server.path(), content=json.dumps(nested, indent=3).encode()).json()
    assert answers[0] == answers[1] == spaced


def test_a_version_may_be_named(digits_server, images, request_of):
    body = request_of("image", "UINT8", images)
    assert httpx.post(digits_server.path("/versions/1/infer"), json=body).status_code == 200


def test_bytes_in_and_out(digits_server, digits_model, images):
    tensor = {"name": "image", "shape": [3, 1, 28, 28], "datatype": "UINT8", "parameters": {"binary_data_size": 2352}}
    request = binary([tensor], images.tobytes(), parameters={"binary_data_output": True})
    answer = httpx.post(digits_server.path(), **request)
    assert answer.headers["content-type"] == "application/octet-stream"
    head = int(answer.headers[HEAD])
    (output,) = json.loads(answer.content[:head])["outputs"]
    assert output == {
        "name": "scores", "datatype": "FP32", "shape": [3, 10], "parameters": {"binary_data_size": 120},
    }  # fmt: skip
    np.testing.assert_array_equal(np.frombuffer(answer.content[head:], "<f4").reshape(3, 10), digits_model(images))


def test_bytes_in_json_out_and_the_other_way(digits_server, digits_model, images, request_of):
    tensor = {"name": "image", "shape": [3, 1, 28, 28], "datatype": "UINT8", "parameters": {"binary_data_size": 2352}}
    scores = digits_model(images)
    answer = httpx.post(digits_server.path(), **binary([tensor], images.tobytes())).json()
    np.testing.assert_array_equal(np.array(answer["outputs"][0]["data"], np.float32), scores.ravel())
    asked = request_of("image", "UINT8", images, outputs=[{"name": "scores", "parameters": {"binary_data": True}}])
    answer = httpx.post(digits_server.path(), json=asked)
    np.testing.assert_array_equal(np.frombuffer(answer.content[int(answer.headers[HEAD]) :], "<f4"), scores.ravel())


def test_an_output_says_for_itself_whether_it_is_bytes(digits_server, images, request_of):
    asked = request_of(
        "image", "UINT8", images, parameters={"binary_data_output": True},
        outputs=[{"name": "scores", "parameters": {"binary_data": False}}],
    )  # fmt: skip
    assert httpx.post(digits_server.path(), json=asked).headers["content-type"] == "application/json"


def test_the_body_may_be_the_bytes_alone(digits_server, digits_model, images):
    answer = httpx.post(digits_server.path(), content=images.tobytes(), headers={HEAD: "0"})
    np.testing.assert_array_equal(
        np.frombuffer(answer.content[int(answer.headers[HEAD]) :], "<f4"), digits_model(images).ravel()
    )


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_body_may_be_compressed(digits_server, images, request_of, coding, pack):
    text = json.dumps(request_of("image", "UINT8", images)).encode()
    plain = httpx.post(digits_server.path(), content=text)
    packed = httpx.post(digits_server.path(), content=pack(text), headers={"content-encoding": coding})
    assert packed.json() == plain.json()


def test_a_large_batch_is_answered_in_pieces(digits_server, digits_model):
    images = np.random.default_rng(3).integers(0, 256, (301, 1, 28, 28), np.uint8)
    answer = httpx.post(digits_server.path(), content=images.tobytes(), headers={HEAD: "0"})
    scores = np.frombuffer(answer.content[int(answer.headers[HEAD]) :], "<f4").reshape(301, 10)
    np.testing.assert_allclose(scores, digits_model(images), rtol=1e-5, atol=1e-4)


def test_several_inputs_in_any_order_and_chosen_outputs(start, sums):
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 5), np.float32), rng.random((2, 5), np.float32)
    tensors = [
        {"name": name, "shape": [2, 5], "datatype": "FP32", "data": array.tolist()}
        for name, array in (("b", b), ("a", a))
    ]
    mixed = [tensors[0], {"name": "a", "shape": [2, 5], "datatype": "FP32", "parameters": {"binary_data_size": 40}}]
    with start(sums) as server:
        body = httpx.post(server.path(), json={"inputs": tensors}).json()
        outputs = {output["name"]: np.array(output["data"], np.float32).reshape(2, 5) for output in body["outputs"]}
        np.testing.assert_array_equal(outputs["sum"], a + b)
        np.testing.assert_array_equal(outputs["negative"], -a)
        chosen = httpx.post(server.path(), json={"inputs": tensors, "outputs": [{"name": "negative"}]}).json()
        assert [output["name"] for output in chosen["outputs"]] == ["negative"]
        bytes_and_json = httpx.post(server.path(), **binary(mixed, a.tobytes())).json()
        np.testing.assert_array_equal(np.array(bytes_and_json["outputs"][0]["data"], np.float32), (a + b).ravel())


def test_what_json_has_no_form_for_is_null(start, fixed):
    x = np.array([-1.0, 0.0, 1.0, 2.0], np.float32)
    tensor = {"name": "x", "shape": [4], "datatype": "FP32", "data": x.tolist()}
    with start(fixed) as server:
        plain = {
            output["name"]: output for output in httpx.post(server.path(), json={"inputs": [tensor]}).json()["outputs"]
        }
        assert plain["y"]["shape"] == [2, 2]
        assert plain["log"]["data"] == [None, None, 0.0, float(np.log(np.float32(2)))]
        exact = httpx.post(
            server.path(),
            json={"inputs": [tensor], "outputs": [{"name": "log", "parameters": {"binary_data": True}}]},
        )
        got = np.frombuffer(exact.content[int(exact.headers[HEAD]) :], "<f4")
        assert np.isnan(got[0])
        assert got[1] == -np.inf


def test_infinity_may_be_sent_as_bytes(start, sums):
    a, b = np.array([[np.inf, 1]], np.float32), np.array([[1, 2]], np.float32)
    inputs = [
        {"name": name, "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}} for name in "ab"
    ]
    with start(sums) as server:
        body = httpx.post(server.path(), **binary(inputs, a.tobytes() + b.tobytes())).json()
    assert body["outputs"][0]["data"] == [None, 3.0]


def test_the_bundle_that_ship_made_is_served(start, digits_bundle):
    image = np.zeros((1, 1, 28, 28), np.uint8)
    with load(digits_bundle, artifact="onnx") as model, start(digits_bundle, "--artifact", "onnx") as server:
        answer = httpx.post(server.path(), content=image.tobytes(), headers={HEAD: "0"})
        np.testing.assert_array_equal(
            np.frombuffer(answer.content[int(answer.headers[HEAD]) :], "<f4"), model(image).ravel()
        )
