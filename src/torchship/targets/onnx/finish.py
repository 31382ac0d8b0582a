"""What an exported graph needs to be ours: the signature's names and dims, and nothing of the machine it came from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import onnx_ir

from torchship import __version__
from torchship.errors import ConversionError
from torchship.signature import Signature, TensorSpec
from torchship.targets.onnx.bfloat import widen

_SYMBOL = re.compile(r"\b[A-Za-z_]\w*\b")


def finished(model: onnx_ir.Model, signature: Signature) -> onnx_ir.Model:
    """Make ``model`` a model of ``signature``, in place.

    Raises:
        ConversionError: a dim that is to be dynamic came out fixed, or an output is lost.
    """
    _check(model.graph, signature)
    _name_dims(model, signature)
    _strip(model)
    widen(model)
    model.producer_name, model.producer_version = "torchship", __version__
    model.graph.name = "model"
    model.metadata_props.update({"inputs": _told(signature.inputs), "outputs": _told(signature.outputs)})
    return model


def _check(graph: onnx_ir.Graph, signature: Signature) -> None:
    names = [spec.name for spec in signature.outputs]
    if [value.name for value in graph.outputs] != names:
        raise ConversionError(f"the graph's outputs are {_named(graph.outputs)}, not {', '.join(names)}")
    known = {spec.name: spec for spec in signature.inputs}
    for value in graph.inputs:
        if value.name not in known:
            raise ConversionError(f"the graph takes {value.name}, which the model doesn't have")
        _check_open(value, known[str(value.name)])


def _check_open(value: onnx_ir.Value, spec: TensorSpec) -> None:
    """A dim that is declared dynamic must be so in the graph too: an answer at another size would be wrong."""
    for axis, (size, want) in enumerate(zip(value.shape or (), spec.shape, strict=False)):
        if isinstance(size, int) and isinstance(want, str):
            raise ConversionError(
                f"{want} (axis {axis} of {spec.name}) was declared dynamic and came out fixed at {size}",
                hint="forward uses it as a number: in a loop, a list, a Python branch or an int()",
            )


def _name_dims(model: onnx_ir.Model, signature: Signature) -> None:
    """Call the exporter's symbols (``s77``) by the dims' own names, wherever they stand."""
    specs = {spec.name: spec for spec in (*signature.inputs, *signature.outputs)}
    names: dict[str, str] = {}
    for value in model.graph.inputs:
        for size, want in zip(value.shape or (), specs[str(value.name)].shape, strict=False):
            if isinstance(size, onnx_ir.SymbolicDim) and size.value is not None and isinstance(want, str):
                names[str(size.value)] = want
    for value in _values(model):
        if value.shape is not None:
            value.shape = onnx_ir.Shape([_renamed(size, names) for size in value.shape])
    for value in (*model.graph.inputs, *model.graph.outputs):
        value.shape = onnx_ir.Shape(specs[str(value.name)].shape)


def _renamed(size: int | onnx_ir.SymbolicDim, names: dict[str, str]) -> int | str | None:
    if isinstance(size, int):
        return size
    return _SYMBOL.sub(lambda found: names.get(found[0], found[0]), str(size.value)) if size.value else None


def _values(model: onnx_ir.Model) -> Iterator[onnx_ir.Value]:
    yield from model.graph.inputs
    yield from model.graph.initializers.values()
    for node in model.graph.all_nodes():
        yield from node.outputs


def _strip(model: onnx_ir.Model) -> None:
    """Take away the notes that exporters leave: stack traces, with the paths of the user's files, and more."""
    model.doc_string = None
    model.metadata_props.clear()
    parts: tuple[onnx_ir.Graph | onnx_ir.Function, ...] = (
        model.graph, *model.graph.subgraphs(), *model.functions.values(),
    )  # fmt: skip
    for graph in parts:
        graph.doc_string = None
        graph.metadata_props.clear()
        for node in graph:
            node.doc_string = None
            node.metadata_props.clear()
    for value in _values(model):
        value.doc_string = None
        value.metadata_props.clear()


def _told(specs: tuple[TensorSpec, ...]) -> str:
    """Write as ``image: float32 [batch, 3, 224, 224]; …``."""
    return "; ".join(f"{spec.name}: {spec.dtype} [{', '.join(map(str, spec.shape))}]" for spec in specs)


def _named(values: Sequence[onnx_ir.Value]) -> str:
    return ", ".join(str(value.name) for value in values)
