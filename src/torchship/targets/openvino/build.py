"""To OpenVINO's IR: from the exported program, from ONNX that was proven, or from TorchScript."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from torchship.bundle.artifact import Artifact, HostContract, Settings, Variant
from torchship.errors import ConversionError
from torchship.signature import Signature
from torchship.targets.builder import Captured, Form, Route
from torchship.targets.openvino.library import library
from torchship.targets.openvino.lowering import decoder
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
            ConversionError: the model takes or gives what OpenVINO computes in fewer bits.
        """
        signature = captured.signature
        _refuse_wider(signature)
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
        return openvino.convert_model(decoder(captured.value))
    if captured.form is Form.ONNX:
        from torchship.targets.openvino.loops import without_scans

        with without_scans(Path(captured.value)) as path:
            return openvino.convert_model(path)
    return openvino.convert_model(captured.value, example_input=captured.examples)


def _refuse_wider(signature: Signature) -> None:
    """Raise ConversionError for element types that the CPU plugin narrows to something else."""
    for spec in (*signature.inputs, *signature.outputs):
        if spec.dtype == "float64":
            raise ConversionError(
                f"{spec.name} is float64, which OpenVINO computes in float32",
                hint="ship model.float(), or take a target that computes in float64: onnx, torchscript, exported, aoti",
            )
        if spec.dtype.startswith("complex"):
            raise ConversionError(
                f"{spec.name} is {spec.dtype}, which OpenVINO has no element type for",
                hint="take and give torch.view_as_real(x)",
            )


BUILDER = OpenVinoBuilder()
