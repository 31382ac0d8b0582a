"""A module that ``torch.jit.script`` takes: the flat call, spelled out, since script knows no ``*args``."""

from __future__ import annotations

from typing import Any

from torch import nn

from torchship.errors import CaptureError
from torchship.models.flat import define, identifiers
from torchship.models.model import Model
from torchship.signature import Constant, Leaf, Mapping, Record, Sequence, Tree


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
    names = identifiers(model.names)
    arguments = ", ".join(
        _argument(parameter.name, parameter.tree, names) for parameter in model.parameters if _given(parameter.tree)
    )
    lines = [f"def forward(self, {', '.join(names)}):"]
    parts = {"model": model.description.model}
    entry = "model"
    if model.description.preprocess is not None:
        parts["preprocess"] = model.description.preprocess
        entry = "preprocess"
    lines.append(f"    result = self.{entry}({arguments})")
    if entry == "preprocess":
        lines.append("    result = self.model(result)")
    if model.description.postprocess is not None:
        parts["postprocess"] = model.description.postprocess
        lines.append("    result = self.postprocess(result)")
    lines.append(f"    return ({''.join(place + ', ' for place in _places(_result(model)))})")
    return type("Scriptable", (Scriptable,), {"forward": define("\n".join(lines) + "\n", "forward", {})})(parts)  # type: ignore[no-any-return]


def _given(tree: Tree) -> bool:
    """A constant is left to ``forward``'s default where it has one; None always is."""
    return not (isinstance(tree, Constant) and tree.value is None)


def _argument(name: str, tree: Tree, names: list[str]) -> str:
    return f"{name}={_expression(tree, names)}"


def _expression(tree: Tree, names: list[str]) -> str:
    match tree:
        case Leaf(index):
            return names[index]
        case Constant(value):
            return repr(value)
        case Sequence(kind, items):
            inner = ", ".join(_expression(item, names) for item in items)
            return f"[{inner}]" if kind == "list" else f"({inner},)"
        case Mapping(keys, items):
            pairs = (f"{key!r}: {_expression(item, names)}" for key, item in zip(keys, items, strict=True))
            return f"{{{', '.join(pairs)}}}"
        case Record(name):
            raise CaptureError(
                f"an argument is a {name}, which TorchScript can't build",
                hint="pass its tensors one by one, or use another route",
            )


def _places(tree: Tree, at: str = "result") -> list[str]:
    """An expression for each tensor of the result."""
    match tree:
        case Leaf():
            return [at]
        case Constant():
            return []
        case Sequence(_, items):
            return [place for number, item in enumerate(items) for place in _places(item, f"{at}[{number}]")]
        case Mapping(keys, items):
            return [place for key, item in zip(keys, items, strict=True) for place in _places(item, f"{at}[{key!r}]")]
        case Record(_, fields, items):
            return [
                place for field, item in zip(fields, items, strict=True) for place in _places(item, f"{at}.{field}")
            ]


def _result(model: Model) -> Any:
    from torchship.models.eager import call

    return call(model.flat, model.examples)[0]
