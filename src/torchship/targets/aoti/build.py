"""To an AOTInductor package: the exported program as C++, compiled for a class of CPUs and not for this one alone."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

from torchship.bundle.artifact import Artifact, HostContract, Settings, Variant
from torchship.targets.aoti import cpu
from torchship.targets.aoti.room import Room
from torchship.targets.builder import Captured, Form, Route
from torchship.targets.runner import Needs
from torchship.targets.torchscript.build import bfloat_inputs, release


class AotiBuilder:
    """Routes: ``export``, ``script``: as the target ``exported`` has them."""

    routes = (Route("export", Form.EXPORTED), Route("script", Form.SCRIPTED))
    needs = Needs(("torch",), "build", compiler=True)

    def convert(self, captured: Captured, route: Route, variant: Variant, folder: Path) -> Artifact:
        """Compile and write ``model.pt2``.

        It takes 10 to 20 CPU seconds. All that the compiler writes goes to a temporary folder, which is removed.
        """
        import torch
        import torch._inductor

        from torchship.lowering.places import CONVOLUTIONS, convolution, has_weights_of_its_own
        from torchship.lowering.program import lowered
        from torchship.targets.aoti import package
        from torchship.targets.exported.from_script import program_of

        program = program_of(captured) if captured.form is Form.SCRIPTED else captured.value
        goal = cpu.this_goal()
        with tempfile.TemporaryDirectory(prefix="torchship-aoti-") as scratch, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if has_weights_of_its_own(program):  # the code would hold the example's number of groups
                program = lowered(program, {torch.ops.aten.convolution.default: convolution}, CONVOLUTIONS)
            program.example_inputs = (captured.examples, {})
            room = Room(Path(scratch), goal)
            with room.entered():
                made = torch._inductor.aoti_compile_and_package(
                    program, package_path=str(room.folder / "made.pt2"), inductor_configs=room.options()
                )
            package.write(Path(made), folder / "model.pt2")
        return Artifact(
            name="aoti", target="aoti", route=route.name, main="model.pt2", variant=variant,
            inputs=tuple(spec.name for spec in captured.signature.inputs),
            outputs=tuple(spec.name for spec in captured.signature.outputs),
            settings=Settings(threads=1),
            host=HostContract(goal.systems, goal.machines, goal.isa, packages={"torch": release(torch.__version__)}),
            adapter=bfloat_inputs(captured.signature),
        )  # fmt: skip

    def plainer(self, artifact: Artifact) -> Artifact | None:
        """Nothing is left out."""


BUILDER = AotiBuilder()
