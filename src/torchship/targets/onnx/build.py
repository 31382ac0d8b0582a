"""To ONNX by torch's exporter, from an ExportedProgram."""

from __future__ import annotations

import warnings
from pathlib import Path

from torchship.bundle.artifact import Artifact, Variant
from torchship.targets.builder import Captured, Form, Route
from torchship.targets.runner import Needs

_INLINE_LIMIT = 1_800_000_000  # bytes; protobuf's own limit is 2 GiB, external data lies beside the graph above it


class OnnxBuilder:
    """Routes: ``export`` (torch.export, then torch.onnx's FX exporter)."""

    routes = (Route("export", Form.EXPORTED),)
    needs = Needs(("torch", "onnx", "onnxscript"), "build")

    def convert(self, captured: Captured, route: Route, variant: Variant, folder: Path) -> Artifact:
        """Write ``model.onnx``."""
        import torch

        inputs = [spec.name for spec in captured.signature.inputs]
        outputs = [spec.name for spec in captured.signature.outputs]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                captured.value, captured.examples, dynamo=True, input_names=inputs, output_names=outputs, verbose=False
            )
        assert program is not None
        size = sum(value.numel() * value.element_size() for value in captured.value.state_dict.values())
        program.save(str(folder / "model.onnx"), external_data=size > _INLINE_LIMIT)
        return Artifact(
            name="onnx", target="onnx", route=route.name, main="model.onnx", variant=variant,
            inputs=tuple(inputs), outputs=tuple(outputs),
        )  # fmt: skip


BUILDER = OnnxBuilder()
