"""A bundle that is made in milliseconds, through the door that ``ship`` uses, with answers that numpy can tell.

Its model takes ``image``, uint8 ``[batch, 1, 4, 6]``, and gives ``scores``, float32 ``[batch, 3]``:
``image.reshape(batch, 24) @ WEIGHTS``, computed exactly, as all numbers in it are small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from torchship.bundle.artifact import Artifact, HostContract, Settings, Verdict
from torchship.bundle.golden import Golden
from torchship.bundle.manifest import SCHEMA, Manifest, Measurements, Origin, Shipped
from torchship.bundle.publish import Staging
from torchship.signature import Dim, Leaf, Parameter, Signature, TensorSpec

LABELS = ("ant", "bee", "cat")
WEIGHTS = np.arange(72, dtype=np.float32).reshape(24, 3) % 7 - 3
SIGNATURE = Signature(
    inputs=(TensorSpec("image", "uint8", ("batch", 1, 4, 6)),),
    outputs=(TensorSpec("scores", "float32", ("batch", 3)),),
    dims=(Dim("batch", 1, 64),),
    call=(Parameter("image", Leaf(0)),),
    result=Leaf(0),
)


def images(count: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (count, 1, 4, 6), np.uint8)


def scores(image: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return image.reshape(len(image), 24).astype(np.float32) @ WEIGHTS


def write_onnx(path: Path, weights: np.ndarray[Any, Any] = WEIGHTS) -> None:
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["floats"], ["rows"]),
        helper.make_node("MatMul", ["rows", "weights"], ["scores"]),
    ]
    save(
        path,
        nodes,
        {"image": ("uint8", ("batch", 1, 4, 6))},
        {"scores": ("float32", ("batch", 3))},
        {"weights": weights},
    )


def save(
    path: Path,
    nodes: list[Any],
    inputs: Mapping[str, tuple[str, tuple[int | str, ...]]],
    outputs: Mapping[str, tuple[str, tuple[int | str, ...]]],
    constants: Mapping[str, np.ndarray[Any, Any]] | None = None,
) -> None:
    """Write an ONNX model; onnx takes a second to import, and the crash test needs none."""
    import onnx
    from onnx import helper

    graph = helper.make_graph(
        nodes, "graph", [_value(name, *kind) for name, kind in inputs.items()],
        [_value(name, *kind) for name, kind in outputs.items()],
        [onnx.numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


def _value(name: str, dtype: str, shape: tuple[int | str, ...]) -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)


def artifact(name: str = "onnx", **changes: Any) -> Artifact:
    given: dict[str, Any] = {
        "name": name, "target": "onnx", "route": "export", "main": "model.onnx", "inputs": ("image",),
        "outputs": ("scores",), "settings": Settings(threads=1), "host": HostContract(),
    }  # fmt: skip
    return Artifact(**(given | changes))


Write = Callable[[Path], None]


def make_bundle(
    destination: Path,
    artifacts: Sequence[tuple[Artifact, Write]] = (),
    *,
    signature: Signature = SIGNATURE,
    golden: Golden | None = None,
    **changes: Any,
) -> Path:
    """Write a bundle with ``artifacts``, best first; each is written by its function into its own folder."""
    made = artifacts or [(artifact(), lambda folder: write_onnx(folder / "model.onnx"))]
    sample = golden or Golden((images(2),), (scores(images(2)),))
    with Staging(destination) as staging:
        for one, write in made:
            write(staging.artifact_folder(one.name))
        paths = (staging.add_golden(signature, sample),)
        right = Verdict(True, 0.0, 1.0, tolerance=(1e-3,) * len(signature.outputs), samples=1)
        given: dict[str, Any] = {
            "schema": SCHEMA, "name": destination.stem, "signature": signature, "chosen": made[0][0].name,
            "shipped": tuple(Shipped(one, right, 1) for one, _ in made), "rows": (),
            "origin": Origin("net.py", "Net", 72, "0" * 64), "files": (), "golden": paths, "labels": LABELS,
        }  # fmt: skip
        staging.commit(Manifest(**(given | changes)), Measurements("2030-01-01T00:00:00+00:00", {}, ()))
    return destination
