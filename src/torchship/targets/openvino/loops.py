"""An ONNX model's Scan as the Loop that OpenVINO reads: its own Scan takes no values of the graph around its body."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx_ir
from onnx_ir import DataType, Graph, Node, Value


@contextmanager
def without_scans(path: Path) -> Iterator[Path]:
    """Give ``path``; where the model holds a Scan, another file, which holds a Loop in its place."""
    model = onnx_ir.load(path)
    scans = [node for node in model.graph.all_nodes() if node.op_type == "Scan" and _collects_in_order(node)]
    if not scans:
        yield path
        return
    for number, scan in enumerate(scans):
        _put_loop(scan, f"torchship_loop_{number}")
    with TemporaryDirectory(prefix="torchship-openvino-") as scratch:
        other = Path(scratch) / path.name
        onnx_ir.save(model, other, external_data=f"{path.name}.data")
        yield other


def _collects_in_order(scan: Node) -> bool:
    """Whether what its turns give is stacked along the first axis, first turn first: a Loop does no other."""
    return not any(
        value for name in ("scan_output_axes", "scan_output_directions") for value in _numbers(scan, name, 0)
    )


def _numbers(scan: Node, name: str, many: int) -> Sequence[int]:
    return scan.attributes[name].as_ints() if name in scan.attributes else [0] * many


def _put_loop(scan: Node, name: str) -> None:
    """It counts the turns, and takes each turn's slices itself. Names within must be none of the graph around."""
    assert scan.graph is not None
    body = scan.attributes["body"].as_graph()
    slices = scan.attributes["num_scan_inputs"].as_int()
    states = len(scan.inputs) - slices
    axes = _numbers(scan, "scan_input_axes", slices)
    turn, going = _number(f"{name}_turn", DataType.INT64), _number(f"{name}_going", DataType.BOOL)
    before, within = _Adding(scan.graph, scan, name), _Adding(body, body[0], f"{name}_inside")
    length = before.add("Gather", before.add("Shape", scan.inputs[states]), before.constant(axes[0]))
    for place, backwards in enumerate(_numbers(scan, "scan_input_directions", slices)):
        at = within.add("Sub", within.add("Sub", length, turn), within.constant(1)) if backwards else turn
        taken = within.add("Gather", scan.inputs[states + place], at, axis=axes[place])
        onnx_ir.convenience.replace_all_uses_with(body.inputs[states + place], taken, replace_graph_outputs=True)
    del body.inputs[states:]
    body.inputs[:0] = [turn, going]
    body.append(still := onnx_ir.node("Identity", [going], outputs=[_number(f"{name}_still", DataType.BOOL)]))
    body.outputs[:0] = still.outputs
    scan.attributes.pop("body")
    loop = onnx_ir.node(
        "Loop", [length, None, *scan.inputs[:states]], {"body": body}, num_outputs=len(scan.outputs), name=scan.name
    )
    onnx_ir.convenience.replace_nodes_and_values(scan.graph, scan, [scan], [loop], scan.outputs, loop.outputs)


def _number(name: str, kind: DataType) -> Value:
    return Value(name=name, shape=onnx_ir.Shape([]), type=onnx_ir.TensorType(kind))


class _Adding:
    """Puts nodes before ``place`` of ``graph``; their values are named after ``name``."""

    def __init__(self, graph: Graph, place: Node, name: str) -> None:
        self._graph, self._place, self._names = graph, place, (f"{name}_{number}" for number in count())

    def add(self, kind: str, *inputs: Value | None, **attributes: Any) -> Value:
        node = onnx_ir.node(kind, inputs, attributes)
        node.outputs[0].name = next(self._names)
        self._graph.insert_before(self._place, node)
        return node.outputs[0]

    def constant(self, number: int) -> Value:
        return self.add("Constant", value=onnx_ir.tensor(np.array(number, np.int64)))
