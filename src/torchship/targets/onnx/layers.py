"""The inner values of an ONNX graph: which module made each is told by the exporter, which is asked once more."""

from __future__ import annotations

import ast
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import onnx_ir

from torchship.bundle.artifact import Artifact
from torchship.targets.builder import Captured, Form
from torchship.targets.exposing import Exposed, Value, leaving, scope_path, user_path

_SCOPES = "pkg.torch.onnx.name_scopes"


def expose(captured: Captured, artifact: Artifact, folder: Path, into: Path, paths: Sequence[str]) -> Exposed:
    """Add the values that leave ``paths`` to the outputs of the file that was made."""
    model = onnx_ir.load(folder / artifact.main)
    made_by = _scopes(captured)
    values = list(_values(model.graph, made_by))
    wanted = {value.name: value for path in paths for value in leaving(values, path)}
    known = {value.name for value in (*model.graph.inputs, *model.graph.outputs)}
    found = [value for node in model.graph for value in node.outputs if value.name in wanted.keys() - known]
    model.graph.outputs.extend(found)
    onnx_ir.save(model, into / artifact.main, external_data="model.data")
    names = tuple(str(value.name) for value in found)
    return Exposed(
        msgspec.structs.replace(artifact, outputs=artifact.outputs + names), into,
        tuple(wanted[name] for name in names),
    )  # fmt: skip


def _scopes(captured: Captured) -> dict[str, str]:
    """Which module made each value, by the value's name. The file that was made bears no such notes."""
    if captured.form is not Form.EXPORTED:
        return {}
    from torchship.targets.onnx import exporters

    with tempfile.TemporaryDirectory(prefix="torchship-onnx-"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        noted = exporters.from_program(captured)
    return {
        str(value.name): user_path(_module(node.metadata_props[_SCOPES]))
        for node in noted.graph
        for value in node.outputs
        if _SCOPES in node.metadata_props
    }


def _module(scopes: str) -> str:
    """``['', 'module', 'module.model', 'conv2d']``: modules, outermost first, and the node's own name."""
    inner = ast.literal_eval(scopes)[:-1]
    return str(inner[-1]) if inner else ""


def _values(graph: onnx_ir.Graph, made_by: dict[str, str]) -> Iterator[Value]:
    def path(node: onnx_ir.Node) -> str:
        found = next((made_by[str(value.name)] for value in node.outputs if str(value.name) in made_by), None)
        return _named(node.name or "") if found is None else found

    ends = {value.name for value in graph.outputs}
    for node in graph:
        for value in node.outputs:
            users = tuple(path(user) for user, _ in value.uses())
            if value.name and (users or value.name in ends):
                yield Value(value.name, path(node), users or ("",))


def _named(node: str) -> str:
    """``/model/conv/Conv``: as the exporter from TorchScript names nodes."""
    return scope_path(node.split("/")[1:-1]) if node.startswith("/") else ""
