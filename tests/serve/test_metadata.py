"""What the server says of itself."""

from __future__ import annotations

import httpx
import pytest

from torchship import __version__


def get(server, path: str) -> object:
    answer = httpx.get(server.url + path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def test_server_metadata(digits_server):
    assert get(digits_server, "/v2") == {
        "name": "torchship", "version": __version__, "extensions": ["binary_tensor_data"],
    }  # fmt: skip


@pytest.mark.parametrize("version", ["", "/versions/1"])
def test_model_metadata(digits_server, version):
    assert get(digits_server, f"/v2/models/digits{version}") == {
        "name": "digits",
        "versions": ["1"],
        "platform": "torchship_onnx",
        "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, 1, 28, 28]}],
        "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 10]}],
    }


def test_health(digits_server):
    assert get(digits_server, "/v2/health/live") == {"live": True}
    assert get(digits_server, "/v2/health/ready") == {"ready": True}
    assert get(digits_server, "/v2/models/digits/ready") == {"name": "digits", "ready": True}
    assert get(digits_server, "/v2/models/digits/versions/1/ready") == {"name": "digits", "ready": True}
    head = httpx.head(f"{digits_server.url}/v2/health/ready")
    assert (head.status_code, head.content, int(head.headers["content-length"])) == (200, b"", 14)


def test_the_repository_index(digits_server):
    row = {"name": "digits", "version": "1", "state": "READY", "reason": ""}
    assert httpx.post(f"{digits_server.url}/v2/repository/index").json() == [row]
    assert httpx.post(f"{digits_server.url}/v2/repository/index", json={"ready": True}).json() == [row]
    wrong = httpx.post(f"{digits_server.url}/v2/repository/index", content="[")
    assert (wrong.status_code, "index request" in wrong.json()["error"]) == (400, True)


def test_a_name_with_spaces_is_reached_by_its_encoded_path(start, digits):
    with start(digits, "--name", "my digits, 2") as server:
        answer = httpx.get(f"{server.url}/v2/models/my%20digits%2C%202")
        assert answer.json()["name"] == "my digits, 2"
