"""The build side of a target: makes an artifact from a captured form."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from torchship.bundle.artifact import Artifact, Option, Variant
from torchship.signature import Signature
from torchship.targets.runner import Needs

if TYPE_CHECKING:
    from collections.abc import Callable


class Form(str, Enum):
    """What a converter can start from."""

    EXPORTED = "exported"  # torch.export.ExportedProgram of flat tensors
    SCRIPTED = "scripted"  # torch.jit.ScriptModule of flat tensors
    TRACED = "traced"  # torch.jit.ScriptModule by tracing
    ONNX = "onnx"  # path of an .onnx file that was proven


class Route(msgspec.Struct, frozen=True):
    """A way to a target: its name on the command line, and the form that it starts from."""

    name: str
    form: Form


class Captured(msgspec.Struct, frozen=True):
    """A form with what a converter must know. ``examples``: the flat tensors that it was captured with.

    ``module``: the flat module itself, where it lives in this process; None for a form that came by file.
    """

    form: Form
    value: Any
    examples: tuple[Any, ...]
    signature: Signature
    dynamic_shapes: Any = None
    chatter: Callable[[str], None] = print
    module: Any = None


def reopened(artifact: Artifact, option: str, value: Option) -> Artifact | None:
    """``artifact`` with one of its options set; None where it is set so already."""
    if artifact.settings.options.get(option) == value:
        return None
    options = {**artifact.settings.options, option: value}
    return msgspec.structs.replace(artifact, settings=msgspec.structs.replace(artifact.settings, options=options))


class Builder(Protocol):
    """``targets/NAME/build.py`` offers one as ``BUILDER``. ``routes`` stand best first."""

    routes: tuple[Route, ...]
    needs: Needs

    def convert(self, captured: Captured, route: Route, variant: Variant, folder: Path) -> Artifact:
        """Write the artifact's files into ``folder``; raises ConversionError or whatever the converter raises."""
        ...

    def plainer(self, artifact: Artifact) -> Artifact | None:
        """The same files, opened with fewer of the runtime's optimisations; None where there is nothing to leave out.

        Asked for where ``artifact`` was not right; what it gives is proven anew.
        """
        ...
