"""Good and bad requests at once: the good ones are always answered, and always right."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

from torchship.runtime import load

HEAD = "inference-header-content-length"
BAD = [
    lambda good: good[:-1],
    lambda good: good.replace(b'"INT64"', b'"FP32"'),
    lambda good: good.replace(b'"word"', b'"work"'),
    lambda good: good.replace(b'"shape": [', b'"shape": [2, '),
    lambda good: good.replace(b'"data": [', b'"data": [99999, '),
    lambda good: good.replace(b'"data": [', b'"data": [null, '),
    lambda good: b"\x00" * 64,
]


def words(numbers: list[int]) -> bytes:
    tensor = {"name": "word", "shape": [len(numbers)], "datatype": "INT64", "data": numbers}
    return json.dumps({"inputs": [tensor]}).encode()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_bad_requests_harm_no_good_one(start, fussy, workers):
    """A third is malformed, a third makes the model itself raise, a third is good."""
    rng = random.Random(int(workers))
    with load(fussy) as model, start(fussy, "--workers", workers) as server, httpx.Client(timeout=30) as client:

        def ask(number: int) -> tuple[str, bool]:
            numbers = [rng.randrange(10) for _ in range(rng.randrange(1, 5))]
            kind = ("good", "malformed", "raising")[number % 3]
            body = words(numbers)
            if kind == "malformed":
                body = rng.choice(BAD)(body)
            elif kind == "raising":
                body = words([*numbers, 10 + rng.randrange(100)])
            answer = client.post(server.path(), content=body)
            if kind != "good":
                return kind, answer.status_code == 400 and bool(answer.json()["error"])
            got = np.array(answer.json()["outputs"][0]["data"], np.float32).reshape(-1, 4)
            return kind, np.array_equal(got, model(np.array(numbers)))

        with ThreadPoolExecutor(16) as pool:
            outcomes = list(pool.map(ask, range(900)))
    assert [outcome for outcome in outcomes if not outcome[1]] == []
    assert sum(kind == "good" for kind, _ in outcomes) == 300


@pytest.mark.parametrize("model_name", ["digits", "slow", "sums"])
def test_every_client_gets_its_own_answer(start, request, model_name):
    """Different inputs of different sizes side by side, in the loop and in threads."""
    rng = np.random.default_rng(5)
    bundle = request.getfixturevalue(model_name)
    with load(bundle) as model, start(bundle, "--workers", "1") as server, httpx.Client(timeout=60) as client:

        def ask(seed: int) -> None:
            inputs = [made(spec, seed) for spec in model.signature.inputs]
            tensors = [
                {"name": spec.name, "shape": list(array.shape), "datatype": names[spec.dtype],
                 "parameters": {"binary_data_size": array.nbytes}}
                for spec, array in zip(model.signature.inputs, inputs, strict=True)
            ]  # fmt: skip
            text = json.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}}).encode()
            tail = b"".join(array.tobytes() for array in inputs)
            answer = client.post(server.path(), content=text + tail, headers={HEAD: str(len(text))})
            assert answer.status_code == 200, answer.text
            at = int(answer.headers[HEAD])
            outputs = json.loads(answer.content[:at])["outputs"]
            for output, wanted in zip(outputs, model.infer(inputs), strict=True):
                size = output["parameters"]["binary_data_size"]
                got = np.frombuffer(answer.content[at : at + size], "<f4").reshape(wanted.shape)
                np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
                at += size

        names = {"uint8": "UINT8", "float32": "FP32"}
        count = 40 if model_name == "slow" else 300

        def made(spec, seed: int) -> np.ndarray:
            own = np.random.default_rng(seed)
            sizes = {"batch": 1 + seed % 3, "length": 1 + seed % 4}
            shape = [sizes.get(size, size) for size in spec.shape]
            if spec.dtype == "uint8":
                return own.integers(0, 256, shape, np.uint8)
            return own.random(shape, np.float32)

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(ask, rng.permutation(count).tolist()))
        rows = server.metrics()[f'torchship_inference_rows_total{{model="{model_name}",version="1"}}']
        assert rows == sum(1 + seed % 3 for seed in range(count))
