"""The inner values of an OpenVINO graph: its nodes' names tell the exporter's node, or the module itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from torchship.bundle.artifact import Artifact
from torchship.targets.builder import Captured, Form
from torchship.targets.exposing import Exposed, Value, leaving, scope_path, user_path
from torchship.targets.openvino.library import core, library


def expose(captured: Captured, artifact: Artifact, folder: Path, into: Path, paths: Sequence[str]) -> Exposed:
    """Add the values that leave ``paths`` to the outputs of the file that was made."""
    model = core().read_model(str(folder / artifact.main))
    values = dict(_values(model, _namer(captured)))
    wanted = {value.name: value for path in paths for value in leaving(list(values), path)}
    found = [(value, port) for value, port in values.items() if value.name in wanted]
    model.add_outputs([port for _, port in found])
    library().save_model(model, str(into / artifact.main), compress_to_fp16=False)
    names = tuple(value.name for value, _ in found)
    return Exposed(
        msgspec.structs.replace(artifact, outputs=artifact.outputs + names), into, tuple(value for value, _ in found)
    )


def _values(model: Any, path: Callable[[str], str]) -> Iterator[tuple[Value, Any]]:
    for node in model.get_ordered_ops():
        if node.get_type_name() in ("Parameter", "Constant", "Result"):
            continue
        name = node.get_friendly_name()
        for place, port in enumerate(node.outputs()):
            if any(user.get_node().get_type_name() == "Result" for user in port.get_target_inputs()):
                continue  # an output already
            users = tuple(path(user.get_node().get_friendly_name()) for user in port.get_target_inputs())
            yield Value(f"{name}.{place}", path(name), users), port


def _namer(captured: Captured) -> Callable[[str], str]:
    """From a node's name to the path of the module that it belongs to."""
    if captured.form is Form.EXPORTED:
        modules = _modules(captured.value)
        return lambda name: modules.get(name.partition("/")[0], "")
    if captured.form is Form.ONNX:
        return lambda name: scope_path(name.split("/")[1:-1]) if name.startswith("/") else ""
    return lambda name: user_path(name.partition("/")[0].removeprefix("__module."))


def _modules(program: Any) -> dict[str, str]:
    """The module of each node of an exported program, by the node's name."""
    stacks = {node.name: node.meta.get("nn_module_stack") or {} for node in program.graph.nodes}
    return {name: user_path(list(stack.values())[-1][0]) for name, stack in stacks.items() if stack}
