"""Small bundles made by hand, and real servers of them on 127.0.0.1."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from torchship.bundle.artifact import Artifact, Verdict
from torchship.bundle.golden import Golden
from torchship.bundle.manifest import SCHEMA, Manifest, Measurements, Origin, Shipped
from torchship.bundle.publish import Staging
from torchship.runtime import ShippedModel, load
from torchship.signature import Dim, Leaf, Parameter, Signature, TensorSpec
from torchship.signature import Sequence as SequenceTree

ONNX_TYPES = {
    "bool": TensorProto.BOOL, "uint8": TensorProto.UINT8, "uint16": TensorProto.UINT16, "uint32": TensorProto.UINT32,
    "uint64": TensorProto.UINT64, "int8": TensorProto.INT8, "int16": TensorProto.INT16, "int32": TensorProto.INT32,
    "int64": TensorProto.INT64, "float16": TensorProto.FLOAT16, "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE, "bfloat16": TensorProto.BFLOAT16,
}  # fmt: skip


def signature_of(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], dims: Sequence[Dim]) -> Signature:
    leaves = tuple(Leaf(place) for place in range(len(outputs)))
    return Signature(
        tuple(inputs),
        tuple(outputs),
        tuple(dims),
        tuple(Parameter(spec.name, Leaf(place)) for place, spec in enumerate(inputs)),
        leaves[0] if len(leaves) == 1 else SequenceTree("tuple", leaves),
    )


def pack(
    path: Path,
    signature: Signature,
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, np.ndarray] | None = None,
    golden: Sequence[Golden] = (),
    labels: Sequence[str] = (),
) -> Path:
    """Make a bundle of an ONNX graph whose names are the signature's."""

    def values(specs: Sequence[TensorSpec]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(s.name, ONNX_TYPES[s.dtype], list(s.shape)) for s in specs]

    graph = helper.make_graph(
        list(nodes), "graph", values(signature.inputs), values(signature.outputs),
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    with Staging(path) as staging:
        onnx.save(model, staging.artifact_folder("onnx") / "model.onnx")
        artifact = Artifact(
            "onnx", "onnx", "export", "model.onnx",
            tuple(s.name for s in signature.inputs), tuple(s.name for s in signature.outputs),
        )  # fmt: skip
        verdict = Verdict(True, 0.0, 1.0, tuple(1e-4 for _ in signature.outputs))
        manifest = Manifest(
            SCHEMA, path.stem, signature, "onnx", (Shipped(artifact, verdict, 1),), (), Origin("x", "M", 1, "0" * 64),
            (), tuple(staging.add_golden(signature, sample) for sample in golden), tuple(labels),
        )  # fmt: skip
        staging.commit(manifest, Measurements("2026-01-01T00:00:00+00:00", {}, ()))
    return path


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A linear net on pictures: ``image`` uint8 [batch, 1, 28, 28] to ``scores`` float32 [batch, 10]."""
    weights = np.random.default_rng(0).standard_normal((784, 10)).astype(np.float32)
    signature = signature_of(
        [TensorSpec("image", "uint8", ("batch", 1, 28, 28))],
        [TensorSpec("scores", "float32", ("batch", 10))],
        [Dim("batch", 1, 4096)],
    )
    nodes = [
        helper.make_node("Cast", ["image"], ["bytes"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["bytes", "most"], ["share"]),
        helper.make_node("Flatten", ["share"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
    ]
    image = np.random.default_rng(1).integers(0, 256, (2, 1, 28, 28), np.uint8)
    scores = (image.reshape(2, 784).astype(np.float32) / 255) @ weights
    path = tmp_path_factory.mktemp("bundles") / "digits"
    constants = {"most": np.array(255, np.float32), "weights": weights}
    return pack(path, signature, nodes, constants, [Golden((image,), (scores,))], "0123456789")


@pytest.fixture(scope="session")
def fussy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table look-up, ``word`` int64 [batch] to ``vector`` float32 [batch, 4]: it raises beyond its 10 words."""
    table = np.arange(40, dtype=np.float32).reshape(10, 4)
    signature = signature_of(
        [TensorSpec("word", "int64", ("batch",))], [TensorSpec("vector", "float32", ("batch", 4))], [Dim("batch")]
    )
    nodes = [helper.make_node("Gather", ["table", "word"], ["vector"])]
    return pack(tmp_path_factory.mktemp("bundles") / "fussy", signature, nodes, {"table": table})


@pytest.fixture(scope="session")
def sums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two inputs float32 [batch, length], and two outputs: their sum, and the first one's negative."""
    axes = ("batch", "length")
    signature = signature_of(
        [TensorSpec("a", "float32", axes), TensorSpec("b", "float32", axes)],
        [TensorSpec("sum", "float32", axes), TensorSpec("negative", "float32", axes)],
        [Dim("batch"), Dim("length", 1, 100)],
    )
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Neg", ["a"], ["negative"])]
    return pack(tmp_path_factory.mktemp("bundles") / "sums", signature, nodes)


@pytest.fixture(scope="session")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many matrix products, ``x`` float32 [batch, 8, 384] to ``y`` alike: slow enough to be run beside the loop."""
    signature = signature_of(
        [TensorSpec("x", "float32", ("batch", 8, 384))], [TensorSpec("y", "float32", ("batch", 8, 384))], [Dim("batch")]
    )
    matrix = np.eye(384, dtype=np.float32)[::-1].copy()
    count = 400  # an even number of reversals: the answer is the input
    names = ["x", *(f"x{place}" for place in range(1, count)), "y"]
    nodes = [helper.make_node("MatMul", [names[at], "m"], [names[at + 1]]) for at in range(count)]
    return pack(tmp_path_factory.mktemp("bundles") / "slow", signature, nodes, {"m": matrix})


@pytest.fixture(scope="session")
def echoes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All element types at once: each input ``NAME`` [batch, 3] comes back as ``NAME_out``."""
    names = [name for name in ONNX_TYPES if name != "bfloat16"]
    signature = signature_of(
        [TensorSpec(name, name, ("batch", 3)) for name in names],
        [TensorSpec(f"{name}_out", name, ("batch", 3)) for name in names],
        [Dim("batch")],
    )
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in names]
    return pack(tmp_path_factory.mktemp("bundles") / "echoes", signature, nodes)


@pytest.fixture(scope="session")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No batch: ``x`` float32 [4] to ``y`` float32 [2, 2], and log of it, which may be NaN or infinite."""
    signature = signature_of(
        [TensorSpec("x", "float32", (4,))],
        [TensorSpec("y", "float32", (2, 2)), TensorSpec("log", "float32", (4,))],
        [],
    )
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"]), helper.make_node("Log", ["x"], ["log"])]
    return pack(tmp_path_factory.mktemp("bundles") / "fixed", signature, nodes, {"shape": np.array([2, 2], np.int64)})


@dataclass
class Server:
    """A running ``torchship serve``: what it announced, and its process."""

    announced: dict[str, str]
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        return self.announced["url"]

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def path(self, below: str = "/infer") -> str:
        return f"{self.announced['model']}{below}"

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def metrics(self) -> dict[str, float]:
        """``/metrics`` by sample name with its labels."""
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


Start = Callable[..., "contextlib.AbstractContextManager[Server]"]


@contextlib.contextmanager
def started(bundle: Path, *options: str) -> Iterator[Server]:
    """Serve ``bundle`` on a free port; in a session of its own, so that nothing of it outlives the test."""
    command = [sys.executable, "-m", "torchship", "serve", str(bundle), "--port", "0", "--json", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the server ended with {process.wait()}"
        yield Server(json.loads(line), process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.stdout.close()


@pytest.fixture(scope="session")
def start() -> Start:
    return started


@pytest.fixture(scope="session")
def digits_server(digits: Path) -> Iterator[Server]:
    with started(digits, "--workers", "1") as server:
        yield server


@pytest.fixture(scope="session")
def digits_model(digits: Path) -> Iterator[ShippedModel]:
    with load(digits) as model:
        yield model


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (3, 1, 28, 28), np.uint8)


def v2(name: str, datatype: str, array: np.ndarray, **extra: object) -> dict[str, object]:
    """An inference request with one input, its data flat."""
    tensor = {"name": name, "shape": list(array.shape), "datatype": datatype, "data": array.ravel().tolist()}
    return {"inputs": [tensor], **extra}


@pytest.fixture(scope="session")
def request_of() -> Callable[..., dict[str, object]]:
    return v2
