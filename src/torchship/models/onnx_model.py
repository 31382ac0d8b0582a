"""An ONNX model as a module: answers by ONNX Runtime with all of its optimisations switched off."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from torchship.bundle.artifact import Artifact, Settings
from torchship.errors import SourceError
from torchship.formats import onnx
from torchship.measure.cores import cores
from torchship.models.flat import define
from torchship.signature.naming import identifiers
from torchship.targets.onnx.run import RUNNER
from torchship.targets.runner import Session

_BLOCK = 1 << 20
_NUDGED = 3  # copies of the graph with other roundings in its weights
_MOST = 500_000_000  # bytes of a model that is copied so often


class OnnxModel(nn.Module):
    """``forward`` is generated: it takes the graph's inputs by their names, and gives a tensor or a tuple of them.

    ``unit`` stands for the weights, which lie in the runtime: where it is moved from 1, by half a unit in the last
    place, a graph answers whose weights are moved so, each its own way.
    """

    digest: Tensor
    unit: Tensor

    def __init__(self, path: Path, artifact: Artifact, files: list[Path]) -> None:
        super().__init__()
        self._bytes = sum(file.stat().st_size for file in files)
        self._path, self._artifact = path, artifact
        self._session = _session(path, artifact)
        self._nudged: list[Session] = []
        self._calls = 0
        self.register_buffer("digest", torch.frombuffer(bytearray(_digest(files)), dtype=torch.uint8))
        self.register_buffer("unit", torch.ones(()))
        self.training = False

    def answer(self, *inputs: Tensor) -> Any:
        """Answer the graph's inputs in its order."""
        arrays = [tensor.detach().cpu().contiguous().numpy() for tensor in inputs]
        session = self._session if float(self.unit) == 1.0 else self._other()
        answers = tuple(torch.from_numpy(array) for array in session.run(arrays))
        return answers[0] if len(answers) == 1 else answers

    def _other(self) -> Session:
        """One of the graphs with moved weights; they are made when they are asked for."""
        if not self._nudged and self._bytes < _MOST:
            self._nudged = [_nudged(self._path, self._artifact, seed) for seed in range(_NUDGED)]
        self._calls += 1
        return self._nudged[self._calls % _NUDGED] if self._nudged else self._session


def onnx_module(path: Path, contents: onnx.Contents) -> OnnxModel:
    """Open ``path``, which was looked into; raises SourceError where ONNX Runtime can't open it."""
    for spec in (*contents.inputs, *contents.outputs):
        if spec.dtype == "bfloat16":
            raise SourceError(f"{path}: {spec.name!r} is of bfloat16, which ONNX Runtime has no array for")
    if not contents.inputs:
        raise SourceError(f"{path} takes no inputs: it always gives the same")
    names = tuple(spec.name for spec in contents.inputs)
    outputs = tuple(spec.name for spec in contents.outputs)
    artifact = Artifact(name="source", target="onnx", route="file", main=path.name, inputs=names, outputs=outputs)
    files = [path, *sorted({path.parent / each.location for each in contents.external})]
    parameters = ", ".join(identifiers(names))
    forward = define(f"def forward(self, {parameters}):\n    return self.answer({parameters})\n", "forward", {})
    kind = type("Onnx", (OnnxModel,), {"forward": forward})
    try:
        return kind(path, artifact, files)  # type: ignore[no-any-return]
    except Exception as error:
        told = str(error).strip().splitlines()[0]
        raise SourceError(f"ONNX Runtime can't open {path}: {told[:300]}", hint="onnx.checker says more") from error


def _session(path: Path, artifact: Artifact) -> Session:
    settings = Settings(threads=cores(), options={"graph_optimization": "disabled"})
    return RUNNER.open(artifact, path.parent, settings)


def _digest(files: list[Path]) -> bytes:
    """SHA-256 of the model's file and of those that its weights lie in."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    return digest.digest()


def _nudged(path: Path, artifact: Artifact, seed: int) -> Session:
    """The graph with every weight moved by half a unit in the last place, up or down."""
    import tempfile

    import onnx as onnx_package
    from onnx import numpy_helper

    model = onnx_package.load(path)
    random = np.random.default_rng(seed)
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype in (np.float32, np.float64, np.float16):
            step = np.finfo(array.dtype).eps / 2 * random.choice([-1, 1], array.shape)
            tensor.CopyFrom(numpy_helper.from_array((array * (1 + step)).astype(array.dtype), tensor.name))
    with tempfile.TemporaryDirectory(prefix="torchship-onnx-") as scratch:
        onnx_package.save(model, Path(scratch) / path.name)
        return _session(Path(scratch) / path.name, artifact)
