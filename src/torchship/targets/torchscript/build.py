"""To a frozen TorchScript archive: scripted where the source allows it, which keeps branches and loops; else traced."""

from __future__ import annotations

import warnings
from pathlib import Path

from torchship.bundle.artifact import Artifact, HostContract, Settings, Variant
from torchship.targets.builder import Captured, Form, Route
from torchship.targets.runner import Needs


class TorchScriptBuilder:
    """Routes: ``script``, then ``trace``."""

    routes = (Route("script", Form.SCRIPTED), Route("trace", Form.TRACED))
    needs = Needs(("torch",), "build")

    def convert(self, captured: Captured, route: Route, variant: Variant, folder: Path) -> Artifact:
        """Freeze and write ``model.pt``.

        ``torch.jit.optimize_for_inference`` happens when the file is opened: it packs weights for the CPU that it
        runs on, and torch can't save what it makes.
        """
        import torch

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frozen = torch.jit.freeze(captured.value.eval())
            torch.jit.save(frozen, str(folder / "model.pt"))
        return Artifact(
            name="torchscript", target="torchscript", route=route.name, main="model.pt", variant=variant,
            inputs=tuple(spec.name for spec in captured.signature.inputs),
            outputs=tuple(spec.name for spec in captured.signature.outputs),
            settings=Settings(threads=1, options={"optimize_for_inference": True}),
            host=HostContract(packages={"torch": _release(torch.__version__)}),
        )  # fmt: skip


def _release(version: str) -> str:
    """``2.13.0+cpu`` as ``>=2.13``: an archive runs on the release that wrote it and on later ones."""
    major, minor = version.split("+", maxsplit=1)[0].split(".")[:2]
    return f">={major}.{minor}"


BUILDER = TorchScriptBuilder()
