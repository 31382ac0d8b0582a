"""Bfloat16 in the file, float32 in the computation: ONNX Runtime has hardly a bfloat16 kernel for CPUs.

What is computed is then more exact than eager's own. The weights stay as small as they are: a Cast at their head is
folded when the file is opened.
"""

from __future__ import annotations

import ml_dtypes  # noqa: F401 - makes bfloat16 a type of numpy's
import numpy as np
import onnx_ir

_NARROW, _WIDE = onnx_ir.DataType.BFLOAT16, onnx_ir.DataType.FLOAT
_TYPE_ATTRIBUTES = ("to", "dtype", "output_dtype", "stash_type")


def widen(model: onnx_ir.Model) -> None:
    """Make every bfloat16 tensor of ``model`` a float32 one, in place; inputs and outputs too."""
    for graph in (model.graph, *model.graph.subgraphs()):
        for node in tuple(graph):
            _widen_node(node)
        for value in graph.inputs:
            if value.dtype is _NARROW:
                value.dtype = _WIDE
        for value in tuple(graph.initializers.values()):
            if value.dtype is _NARROW:
                _cast(graph, value)


def _widen_node(node: onnx_ir.Node) -> None:
    for name, attribute in tuple(node.attributes.items()):
        if attribute.type is onnx_ir.AttributeType.INT and name in _TYPE_ATTRIBUTES and attribute.value == _NARROW:
            node.attributes[name] = onnx_ir.AttrInt64(name, int(_WIDE))
        if attribute.type is onnx_ir.AttributeType.TENSOR and attribute.value.dtype is _NARROW:
            wide = attribute.value.numpy().astype(np.float32)
            node.attributes[name] = onnx_ir.AttrTensor(name, onnx_ir.tensor(wide))
    for value in node.outputs:
        if value.dtype is _NARROW:
            value.dtype = _WIDE


def _cast(graph: onnx_ir.Graph, stored: onnx_ir.Value) -> None:
    """Use a float32 cast of ``stored`` in its place."""
    node = onnx_ir.Node("", "Cast", [stored], [onnx_ir.AttrInt64("to", int(_WIDE))], name=f"widen_{stored.name}")
    wide = node.outputs[0]
    wide.name, wide.dtype, wide.shape = f"{stored.name}_float32", _WIDE, stored.shape
    onnx_ir.convenience.replace_all_uses_with(stored, wide)
    node.replace_input_with(0, stored)
    if len(graph):
        graph.insert_before(graph[0], node)
    else:
        graph.append(node)
