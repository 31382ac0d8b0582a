"""Torch's two exporters to ONNX, each used for what it alone can do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx_ir
import torch

from torchship.lowering.pairs import without_complex
from torchship.lowering.program import nodes
from torchship.signature import Signature
from torchship.targets.builder import Captured, Form
from torchship.targets.onnx.lowering import lowered
from torchship.targets.onnx.translations import TRANSLATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

_TORCHSCRIPT_OPSET = 20  # the highest that torch's TorchScript exporter writes


def from_program(captured: Captured) -> onnx_ir.Model:
    """By the exporter of today, from an ExportedProgram; opset 20 in torch 2.13.

    Complex numbers are left to the exporter, since ONNX has a Fourier transform; what it can't do with them is done in
    real arithmetic, and so is the way back from a spectrogram, for which it writes what ONNX Runtime doesn't load.
    """
    if any(node.target is torch.ops.aten.istft.default for node in nodes(captured.value)):
        return _exported(captured, lowered(without_complex(captured.value)))
    try:
        return _exported(captured, lowered(captured.value))
    except torch.onnx.OnnxExporterError:
        real = without_complex(captured.value)
        if real is captured.value:
            raise
        return _exported(captured, lowered(real))


def _exported(captured: Captured, exported: torch.export.ExportedProgram) -> onnx_ir.Model:
    program = torch.onnx.export(
        exported,
        captured.examples,
        dynamo=True,
        input_names=_names(captured.signature.inputs),
        output_names=_names(captured.signature.outputs),
        custom_translation_table=TRANSLATIONS,
        verbose=False,
    )
    assert program is not None
    model: onnx_ir.Model = program.model
    return model


def from_torchscript(captured: Captured, scratch: Path) -> onnx_ir.Model:
    """By the exporter of old, from a scripted module, or by tracing the module itself.

    A module that was traced beforehand has lost the ranks of its tensors, which many of the exporter's rules need:
    where the module itself is at hand, the exporter traces it. Submodules in training mode stay in it, as in eager.
    """
    signature, path = captured.signature, scratch / "model.onnx"
    module = captured.module if captured.form is Form.TRACED and captured.module is not None else captured.value
    modes = torch.onnx.TrainingMode
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # a fused operator that ONNX has no like of
    try:
        torch.onnx.export(
            module,
            captured.examples,
            str(path),
            dynamo=False,
            input_names=_names(signature.inputs),
            output_names=_names(signature.outputs),
            dynamic_axes=_dynamic_axes(signature),
            opset_version=_TORCHSCRIPT_OPSET,
            training=modes.PRESERVE if any(each.training for each in module.modules()) else modes.EVAL,
        )
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    return onnx_ir.load(path)


def _names(specs: Sequence[Any]) -> list[str]:
    return [spec.name for spec in specs]


def _dynamic_axes(signature: Signature) -> dict[str, dict[int, str]]:
    axes = {
        spec.name: {axis: size for axis, size in enumerate(spec.shape) if isinstance(size, str)}
        for spec in (*signature.inputs, *signature.outputs)
    }
    return {name: places for name, places in axes.items() if places}
