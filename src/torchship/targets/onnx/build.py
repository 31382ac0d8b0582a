"""To ONNX: by torch's exporter from an exported program, or from TorchScript, which keeps branches and loops."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchship.bundle.artifact import Artifact, Settings, Variant
from torchship.errors import ConversionError
from torchship.targets.builder import Captured, Form, Route, reopened
from torchship.targets.runner import Needs

if TYPE_CHECKING:
    import onnx_ir

INLINE_LIMIT = 800_000_000  # bytes; protobuf's own limit is 2 GiB, but writing and reading holds three copies of it


class OnnxBuilder:
    """Routes: ``export``; ``script``, which keeps ``if``, loops and the length of an LSTM open; ``trace``.

    A source that is ONNX already goes by ``file``: as it is.
    """

    routes = (
        Route("export", Form.EXPORTED),
        Route("script", Form.SCRIPTED),
        Route("trace", Form.TRACED),
        Route("file", Form.ONNX),
    )
    needs = Needs(("torch", "onnx", "onnxscript"), "build")

    def convert(self, captured: Captured, route: Route, variant: Variant, folder: Path) -> Artifact:
        """Write ``model.onnx``, and ``model.onnx.data`` where the weights are big.

        Raises:
            ConversionError: a dim that is to be dynamic came out fixed, or an output is lost.
        """
        import onnx

        path = folder / "model.onnx"
        with tempfile.TemporaryDirectory(prefix="torchship-onnx-") as scratch, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = _as_it_is(captured, path) if captured.form is Form.ONNX else _written(captured, Path(scratch), path)
            onnx.checker.check_model(str(path))
        kept = {value.name for value in model.graph.inputs}
        return Artifact(
            name="onnx", target="onnx", route=route.name, main="model.onnx", variant=variant,
            inputs=tuple(spec.name if spec.name in kept else "" for spec in captured.signature.inputs),
            outputs=tuple(spec.name for spec in captured.signature.outputs),
            settings=Settings(threads=1),
        )  # fmt: skip

    def plainer(self, artifact: Artifact) -> Artifact | None:
        """Without ONNX Runtime's rewriting of the graph."""
        return reopened(artifact, "graph_optimization", "disabled")


def _as_it_is(captured: Captured, path: Path) -> onnx_ir.Model:
    """Byte for byte, unless its weights lie in files of their own, which get our names."""
    import onnx_ir

    source = Path(captured.value)
    model = onnx_ir.load(source)
    if any(isinstance(value.const_value, onnx_ir.ExternalTensor) for value in model.graph.initializers.values()):
        _save(onnx_ir.external_data.load_to_model(model), path)
    else:
        shutil.copyfile(source, path)
    return model


def _written(captured: Captured, scratch: Path, path: Path) -> onnx_ir.Model:
    from torchship.targets.onnx import exporters
    from torchship.targets.onnx.finish import finished

    if captured.form is Form.EXPORTED:
        _refuse_steps(captured.value)
        exported = exporters.from_program(captured)
    else:
        exported = exporters.from_torchscript(captured, scratch)
    model = finished(exported, captured.signature)
    _save(model, path)
    return model


def _refuse_steps(program: Any) -> None:
    """Raise ConversionError where a recurrent layer was exported as a scan: ONNX has an operator for the whole."""
    for node in program.graph.nodes:
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        if getattr(node.target, "__name__", "") == "scan" and stack and "torch.nn.modules.rnn." in str(stack[-1][1]):
            layer = str(stack[-1][1]).rpartition(".")[2].strip("'>")
            raise ConversionError(
                f"the exported program goes through the {layer}'s length step by step",
                hint="the script and trace routes keep it one operator, which is many times quicker",
            )


def _save(model: onnx_ir.Model, path: Path) -> None:
    import onnx_ir

    size = sum(value.const_value.nbytes for value in model.graph.initializers.values() if value.const_value)
    onnx_ir.save(model, path, external_data=f"{path.name}.data" if size > INLINE_LIMIT else None)


BUILDER = OnnxBuilder()
