"""To a torch ``.pt2``: the ExportedProgram itself."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from torchship.bundle.artifact import Artifact, HostContract, Settings, Variant
from torchship.targets.builder import Captured, Form, Route
from torchship.targets.runner import Needs
from torchship.targets.torchscript.build import bfloat_inputs, release

_NOTES = ("stack_trace", "source_fn_stack", "torch_fn", "from_node", "custom")  # of a node; nothing runs by them


class ExportedBuilder:
    """Routes: ``export``; ``script``, which makes torch.cond of an ``if`` on a tensor's value."""

    routes = (Route("export", Form.EXPORTED), Route("script", Form.SCRIPTED))
    needs = Needs(("torch",), "build")

    def convert(self, captured: Captured, route: Route, variant: Variant, folder: Path) -> Artifact:
        """Write ``model.pt2``.

        Without the example inputs, which would be pickled, and without stack traces, which tell the paths of the
        user's files; which module a node came from stays.
        """
        import torch

        from torchship.targets.exported.from_script import program_of

        program = program_of(captured) if captured.form is Form.SCRIPTED else captured.value
        program.example_inputs = None
        _strip(program.graph_module)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.export.save(program, str(folder / "model.pt2"))
        return Artifact(
            name="exported", target="exported", route=route.name, main="model.pt2", variant=variant,
            inputs=tuple(spec.name for spec in captured.signature.inputs),
            outputs=tuple(spec.name for spec in captured.signature.outputs),
            settings=Settings(threads=1),
            host=HostContract(packages={"torch": f">={release(torch.__version__)}"}),
            adapter=bfloat_inputs(captured.signature),
        )  # fmt: skip

    def plainer(self, artifact: Artifact) -> Artifact | None:
        """Nothing is left out."""


def _strip(module: Any) -> None:
    """Take the notes off every node, of inner graphs too (``torch.cond``'s branches)."""
    import torch

    for inner in module.modules():
        if isinstance(inner, torch.fx.GraphModule):
            for node in inner.graph.nodes:
                for note in _NOTES:
                    node.meta.pop(note, None)


BUILDER = ExportedBuilder()
