"""A module that ``torch.jit.script`` takes: the flat call, spelled out, since script knows no ``*args``."""

from __future__ import annotations

from typing import Any

from torch import nn

from torchship.convert import spelling
from torchship.models.flat import define
from torchship.models.model import Model
from torchship.signature.naming import identifiers


class Scriptable(nn.Module):
    """Holds the parts of the pipeline; ``forward`` is generated."""

    def __init__(self, parts: dict[str, nn.Module]) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.training = False


def scriptable(model: Model) -> nn.Module:
    """Spell the call of ``model`` out with flat tensors.

    Raises:
        CaptureError: the call or the result has a structure that TorchScript can't express.
    """
    given = {
        "model": model.description.model,
        "preprocess": model.description.preprocess,
        "postprocess": model.description.postprocess,
    }
    parts = {name: part for name, part in given.items() if part is not None}
    names = identifiers(model.names)
    code = spelling.forward(names, model.parameters, _result(model), "preprocess" in parts, "postprocess" in parts)
    return type("Scriptable", (Scriptable,), {"forward": define(code, "forward", {})})(parts)  # type: ignore[no-any-return]


def _result(model: Model) -> Any:
    from torchship.models.eager import call

    return call(model.flat, model.examples)[0]
