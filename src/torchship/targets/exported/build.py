"""To a torch ``.pt2``: the ExportedProgram itself."""

from __future__ import annotations

import warnings
from pathlib import Path

from torchship.bundle.artifact import Artifact, HostContract, Variant
from torchship.targets.builder import Captured, Form, Route
from torchship.targets.runner import Needs


class ExportedBuilder:
    """Route: ``export``."""

    routes = (Route("export", Form.EXPORTED),)
    needs = Needs(("torch",), "build")

    def convert(self, captured: Captured, route: Route, variant: Variant, folder: Path) -> Artifact:
        """Write ``model.pt2``, without the example inputs: they would be pickled."""
        import torch

        captured.value.example_inputs = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.export.save(captured.value, str(folder / "model.pt2"))
        release = ".".join(torch.__version__.split("+")[0].split(".")[:2])
        return Artifact(
            name="exported", target="exported", route=route.name, main="model.pt2", variant=variant,
            inputs=tuple(spec.name for spec in captured.signature.inputs),
            outputs=tuple(spec.name for spec in captured.signature.outputs),
            host=HostContract(packages={"torch": f">={release}"}),
        )  # fmt: skip


BUILDER = ExportedBuilder()
