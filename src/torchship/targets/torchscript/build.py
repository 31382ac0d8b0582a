"""To a TorchScript archive: scripted where the source allows it, which keeps branches and loops; else traced."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from torchship.bundle.artifact import Adapter, Artifact, HostContract, Settings, Variant
from torchship.signature import BFLOAT16, Signature
from torchship.targets.builder import Captured, Form, Route, reopened
from torchship.targets.lean import rewrite
from torchship.targets.runner import Needs

if TYPE_CHECKING:
    import torch

OPTIMIZE = "optimize_for_inference"
_NOTES = (".debug_pkl", "/.data/serialization_id")  # the user's source, with its paths; a hash that nobody checks


class TorchScriptBuilder:
    """Routes: ``script``, then ``trace``."""

    routes = (Route("script", Form.SCRIPTED), Route("trace", Form.TRACED))
    needs = Needs(("torch",), "build")

    def convert(self, captured: Captured, route: Route, variant: Variant, folder: Path) -> Artifact:
        """Write ``model.pt``, frozen where that can be done and answers the example as before.

        ``torch.jit.optimize_for_inference`` happens when the file is opened: it packs weights for the CPU that it
        runs on, and torch can't save what it makes.
        """
        import torch

        with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="torchship-script-") as scratch:
            warnings.simplefilter("ignore")
            frozen = _frozen(captured)
            made = Path(scratch) / "model.pt"
            torch.jit.save(frozen or captured.value, str(made))
            rewrite(made, folder / "model.pt", lambda name: None if name.endswith(_NOTES) else name)
        return Artifact(
            name="torchscript", target="torchscript", route=route.name, main="model.pt", variant=variant,
            inputs=tuple(spec.name for spec in captured.signature.inputs),
            outputs=tuple(spec.name for spec in captured.signature.outputs),
            settings=Settings(threads=1, options={OPTIMIZE: frozen is not None}),
            host=HostContract(packages={"torch": f">={release(torch.__version__)}"}),
            adapter=bfloat_inputs(captured.signature),
        )  # fmt: skip

    def plainer(self, artifact: Artifact) -> Artifact | None:
        """Without ``optimize_for_inference``."""
        return reopened(artifact, OPTIMIZE, False)


def _frozen(captured: Captured) -> torch.jit.ScriptModule | None:
    """The module with its weights and modes as constants; None where that fails, or makes another model of it.

    Submodules that the user left in training mode stay in it: ``eval()`` would make another model of it too.
    """
    import torch

    try:
        frozen = torch.jit.freeze(captured.value)
        return frozen if _same(frozen, captured.value, captured.examples) else None
    except Exception:  # noqa: BLE001 - what the archive holds is proven anyway; frozen is only quicker
        return None


def _same(one: torch.jit.ScriptModule, other: torch.jit.ScriptModule, examples: tuple[torch.Tensor, ...]) -> bool:
    """Whether both give the same on the example, but for rounding: twice, since the second call runs other code."""
    import torch

    with torch.no_grad():
        for _ in range(2):
            answers = [each(*(tensor.clone() for tensor in examples)) for each in (one, other)]
            pairs = zip(*(each if isinstance(each, (tuple, list)) else (each,) for each in answers), strict=True)
            if not all(_close(mine, theirs) for mine, theirs in pairs):
                return False
    return True


def _close(mine: torch.Tensor, theirs: torch.Tensor) -> bool:
    import torch

    if mine.dtype is not theirs.dtype or mine.shape != theirs.shape:
        return False
    if not (mine.is_floating_point() or mine.is_complex()):
        return bool(torch.equal(mine, theirs))
    eps = torch.finfo(mine.dtype).eps
    scale = float(theirs.abs().nan_to_num(posinf=0.0).max()) if theirs.numel() else 0.0
    return torch.allclose(mine, theirs, rtol=1e3 * eps, atol=1e3 * eps * max(scale, 1e-12), equal_nan=True)


def bfloat_inputs(signature: Signature) -> Adapter:
    """What the run side casts: numpy carries bfloat16 as float32, torch wants it as it is."""
    return Adapter(casts={spec.name: BFLOAT16 for spec in signature.inputs if spec.dtype == BFLOAT16})


def release(version: str) -> str:
    """``2.13.0+cpu`` as ``2.13``."""
    return ".".join(version.split("+", maxsplit=1)[0].split(".")[:2])


BUILDER = TorchScriptBuilder()
