"""To OpenVINO's IR: from the exported program, from ONNX that was proven, or from TorchScript."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NoReturn

from torchship.bundle.artifact import Artifact, HostContract, Settings, Variant
from torchship.lowering.refusal import UnloweredError
from torchship.targets.builder import Captured, Form, Route
from torchship.targets.openvino.library import library
from torchship.targets.openvino.ports import dress
from torchship.targets.openvino.ties import keep_their_order
from torchship.targets.runner import Needs

_PRECISIONS = {"fp32": "f32", "fp16": "f16", "bf16": "bf16"}


class OpenVinoBuilder:
    """Routes: ``export``; ``onnx``, which takes loops and LSTM lengths too; ``script`` and ``trace``."""

    routes = (
        Route("export", Form.EXPORTED),
        Route("onnx", Form.ONNX),
        Route("script", Form.SCRIPTED),
        Route("trace", Form.TRACED),
    )
    needs = Needs(("torch", "openvino"), "openvino")

    def convert(self, captured: Captured, route: Route, variant: Variant, folder: Path) -> Artifact:
        """Write ``model.xml`` and ``model.bin``, in the weights' own precision.

        Float32 is computed as float32: OpenVINO would compute in bfloat16 where the CPU can.

        Raises:
            UnloweredError: the model takes or gives what OpenVINO computes in fewer bits.
        """
        signature = captured.signature
        _refuse_wider(captured)
        openvino = library()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = dress(keep_their_order(_converted(openvino, captured)), signature)
        kept = {port.node.get_friendly_name() for port in model.inputs}
        openvino.save_model(model, str(folder / "model.xml"), compress_to_fp16=False)
        year, number = openvino.__version__.split(".")[:2]
        return Artifact(
            name="openvino", target="openvino", route=route.name, main="model.xml", variant=variant,
            inputs=tuple(spec.name if spec.name in kept else "" for spec in signature.inputs),
            outputs=tuple(spec.name for spec in signature.outputs),
            settings=Settings(threads=1, options={"precision": _PRECISIONS.get(variant.precision, "f32")}),
            host=HostContract(packages={"openvino": f">={year}.{number}"}),
        )  # fmt: skip

    def plainer(self, artifact: Artifact) -> Artifact | None:
        """Nothing is left out."""


def _converted(openvino: Any, captured: Captured) -> Any:
    if captured.form is Form.EXPORTED:
        from torchship.targets.openvino.lowering import decoder  # torch, which only a conversion needs

        return openvino.convert_model(decoder(captured.value))
    if captured.form is Form.ONNX:
        from torchship.targets.openvino.loops import without_scans

        with without_scans(Path(captured.value)) as path:
            return openvino.convert_model(path)
    return openvino.convert_model(captured.value, example_input=captured.examples)


def _refuse_wider(captured: Captured) -> None:
    """Raise UnloweredError for element types that the CPU plugin narrows to something else."""
    signature = captured.signature
    for place, spec in enumerate((*signature.inputs, *signature.outputs)):
        if spec.dtype == "float64":
            _refuse(
                captured, place, f"{spec.name} is float64, which OpenVINO computes in float32",
                "ship model.float(), or take a target that computes in float64: onnx, torchscript, exported, aoti",
            )  # fmt: skip
        if spec.dtype.startswith("complex"):
            _refuse(
                captured, place, f"{spec.name} is {spec.dtype}, which OpenVINO has no element type for",
                "take and give torch.view_as_real(x)",
            )  # fmt: skip


def _refuse(captured: Captured, place: int, why: str, way: str) -> NoReturn:
    node = _node(captured, place) if captured.form is Form.EXPORTED else None
    assert node is None or node.name  # whoever diagnoses this looks for the node in here, and finds its line
    raise UnloweredError(why, way)


def _node(captured: Captured, place: int) -> Any:
    """Of an exported program, what first takes the input of that place, or gives the output, which come after."""
    program, inputs = captured.value, len(captured.signature.inputs)
    nodes = {node.name: node for node in program.graph.nodes}
    if place >= inputs:
        return nodes.get(str(program.graph_signature.user_outputs[place - inputs]))
    return next(iter(nodes[str(program.graph_signature.user_inputs[place])].users), None)


BUILDER = OpenVinoBuilder()
