"""``…/predict``: what a person sends with curl."""

from __future__ import annotations

import io
import json

import httpx
import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def picture(images) -> np.ndarray:
    return images[0, 0]


def saved(picture: np.ndarray, form: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, form)
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def test_a_picture_a_row_and_a_file_get_the_same_answer(digits_server, digits_model, picture):
    scores = digits_model(picture[None, None])
    array = picture[None, None]
    bodies = {
        "png": (saved(picture, "PNG"), "image/png"),
        "png by curl": (saved(picture, "PNG"), "application/x-www-form-urlencoded"),
        "npy": (npy(array), "application/octet-stream"),
        "npz": (npz(image=array), "application/zip"),
        "row": (json.dumps(array.tolist()).encode(), "application/json"),
        "named": (json.dumps({"image": array.tolist()}).encode(), "application/json"),
        "inputs": (json.dumps({"inputs": {"image": array.tolist()}}).encode(), "application/json"),
    }
    for what, (body, kind) in bodies.items():
        answer = httpx.post(digits_server.path("/predict"), content=body, headers={"content-type": kind})
        assert answer.status_code == 200, what
        told = answer.json()
        np.testing.assert_array_equal(np.array(told["outputs"]["scores"], np.float32), scores, err_msg=what)
        assert told["label"] == str(scores.argmax())
        assert told["artifact"] == "onnx"


def test_a_jpeg_is_read(digits_server, picture):
    answer = httpx.post(digits_server.path("/predict"), content=saved(picture, "JPEG"))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b"", 400, "empty"),
        (b"hello", 400, "neither an array, a picture nor JSON"),
        (b"\x89PNG\r\n\x1a\nnothing", 400, "no readable PNG"),
        (saved(np.zeros((28, 29), np.uint8), "PNG"), 400, "29x28 pixels, the model takes 28x28"),
        (b'{"picture": [1]}', 400, "missing: image; unknown: picture"),
        (b"[1, 2]", 400, "1 axes instead of 4"),
        (b"[[1, 2], [3]]", 400, "different lengths"),
        (npy(np.zeros((1, 1, 28, 28), np.float32)), 400, "float32, the model takes uint8"),
        (npy(np.zeros((1, 1, 28, 28), np.uint8))[:-1], 400, "cut short"),
        (npy(np.array([{}], object)), 400, "pickled"),
        (npz(image=np.zeros((60_000, 1, 28, 28), np.uint8), more=np.zeros(30 << 20, np.uint8)), 413, "unpacked"),
        (b"PK\x03\x04 no zip", 400, ""),
    ],
)
def test_what_cannot_be_read_is_refused(digits_server, body, status, sentence):
    answer = httpx.post(digits_server.path("/predict"), content=body)
    assert answer.status_code == status
    assert sentence in answer.json()["error"]


def test_nan_is_refused(start, sums):
    with start(sums) as server:
        bad = npz(a=np.array([[np.nan]], np.float32), b=np.ones((1, 1), np.float32))
        answer = httpx.post(server.path("/predict"), content=bad)
        assert (answer.status_code, "holds NaN" in answer.json()["error"]) == (400, True)
        good = npz(a=np.array([[2]], np.float32), b=np.ones((1, 1), np.float32))
        told = httpx.post(server.path("/predict"), content=good).json()
        assert told == {"outputs": {"sum": [[3.0]], "negative": [[-2.0]]}, "label": None, "artifact": "onnx"}
