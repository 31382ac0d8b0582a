"""Weights kept in fewer bits, and made float32 again at the graph's head: for size alone.

ONNX Runtime computes that head once, when it opens the file, so that a call takes the time that it took.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir
from onnx_ir import DataType, Graph, Model, Value

from torchship.bundle.artifact import Artifact, Variant
from torchship.errors import ConversionError
from torchship.targets.onnx.build import INLINE_LIMIT
from torchship.targets.passes import Work, renamed

Stored = Callable[["Head", Any], Value | None]


class Head:
    """Puts nodes before all others of ``graph``, with the weight that they start from."""

    def __init__(self, graph: Graph, name: str) -> None:
        self._graph = graph
        self._name = name
        self._made = 0

    def weight(self, array: Any, kind: str) -> Value:
        """A new weight."""
        tensor = onnx_ir.tensor(array)
        value = Value(
            name=f"{self._name}_{kind}", const_value=tensor, shape=onnx_ir.Shape(array.shape),
            type=onnx_ir.TensorType(tensor.dtype),
        )  # fmt: skip
        self._graph.register_initializer(value)
        return value

    def add(self, kind: str, *inputs: Value, shape: tuple[int, ...], **attributes: Any) -> Value:
        """A node that gives float32."""
        node = onnx_ir.node(kind, inputs, attributes)
        value = node.outputs[0]
        value.name, value.shape = f"{self._name}_{kind.lower()}{self._made}", onnx_ir.Shape(shape)
        value.type = onnx_ir.TensorType(DataType.FLOAT)
        self._graph.insert_before(self._graph[self._made], node)
        self._made += 1
        return value


def store_weights(work: Work, variant: Variant, out: Path, least: int, stored: Stored) -> Artifact:
    """Keep each float32 weight of ``least`` elements as ``stored`` makes it (None: as it is).

    Raises:
        ConversionError: no weight could be kept in fewer bits.
    """
    model = onnx_ir.load(work.main)
    if not shrink(model, least, stored):
        raise ConversionError(
            f"there are no float32 weights of {least} elements or more to keep in fewer bits",
            hint="leave it as it is: --quantize none",
        )
    save(model, out / work.source.main)
    return renamed(work, variant)


def shrink(model: Model, least: int, stored: Stored, kept: Collection[str] = ()) -> int:
    """The same, in place, but for the weights of the nodes ``kept``; give how many were changed."""
    changed = 0
    for graph, value in _weights(model, least):
        assert value.const_value is not None
        if any(node.name in kept for node in value.consumers()):
            continue
        array = value.const_value.numpy()
        fresh = stored(Head(graph, str(value.name)), array) if np.isfinite(array).all() else None
        if fresh is None:
            continue
        onnx_ir.convenience.replace_all_uses_with(value, fresh, replace_graph_outputs=True)
        graph.initializers.pop(str(value.name))
        changed += 1
    return changed


def save(model: Model, path: Path) -> None:
    """Write the model, its weights beside it where they are big."""
    size = sum(value.const_value.nbytes for value in model.graph.initializers.values() if value.const_value)
    onnx_ir.save(model, path, external_data=f"{path.name}.data" if size > INLINE_LIMIT else None)


def _weights(model: Model, least: int) -> Iterator[tuple[Graph, Value]]:
    for graph in (model.graph, *model.graph.subgraphs()):
        if not len(graph):
            continue
        for value in tuple(graph.initializers.values()):
            if value.dtype is DataType.FLOAT and value.const_value is not None and value.const_value.size >= least:
                yield graph, value
