"""The user's call spelled out in Python with flat tensors: text, made of the signature's trees."""

from __future__ import annotations

from collections.abc import Sequence as SequenceType

from torchship.errors import CaptureError
from torchship.signature import Constant, Leaf, Mapping, Parameter, Record, Sequence, Tree


def forward(
    names: SequenceType[str], call: SequenceType[Parameter], result: Tree, before: bool = False, after: bool = False
) -> str:
    """Write the ``forward`` of a module that holds ``self.model``, and ``preprocess`` and ``postprocess``.

    ``names`` are the identifiers of the flat tensors; ``before`` and ``after`` say which of the two it holds.

    Raises:
        CaptureError: an argument is of a class that the text can't name.
    """
    given = _arguments([each for each in call if _given(each.tree)], names)
    lines = [f"def forward(self, {', '.join(names)}):"]
    lines.append(f"    result = self.{'preprocess' if before else 'model'}({given})")
    if before:
        lines.append("    result = self.model(result)")
    if after:
        lines.append("    result = self.postprocess(result)")
    lines.append(f"    return ({''.join(place + ', ' for place in places(result))})")
    return "\n".join(lines) + "\n"


def _arguments(call: SequenceType[Parameter], names: SequenceType[str]) -> str:
    if len(call) == 1 and call[0].kind == "positional":
        return expression(call[0].tree, names)
    return ", ".join(f"{each.name}={expression(each.tree, names)}" for each in call)


def _given(tree: Tree) -> bool:
    """A constant is left to ``forward``'s default where it has one; None always is."""
    return not (isinstance(tree, Constant) and tree.value is None)


def expression(tree: Tree, names: SequenceType[str]) -> str:
    """An argument, put together."""
    match tree:
        case Leaf(index):
            return names[index]
        case Constant(value):
            return repr(value)
        case Sequence(kind, items):
            inner = ", ".join(expression(item, names) for item in items)
            return f"[{inner}]" if kind == "list" else f"({inner},)"
        case Mapping(keys, items):
            pairs = (f"{key!r}: {expression(item, names)}" for key, item in zip(keys, items, strict=True))
            return f"{{{', '.join(pairs)}}}"
        case Record(name):
            raise CaptureError(
                f"an argument is a {name}, which TorchScript can't build",
                hint="pass its tensors one by one, or use another route",
            )


def places(tree: Tree, at: str = "result") -> list[str]:
    """An expression for each tensor of the result."""
    match tree:
        case Leaf():
            return [at]
        case Constant():
            return []
        case Sequence(_, items):
            return [place for number, item in enumerate(items) for place in places(item, f"{at}[{number}]")]
        case Mapping(keys, items):
            return [place for key, item in zip(keys, items, strict=True) for place in places(item, f"{at}[{key!r}]")]
        case Record(_, fields, items):
            return [place for field, item in zip(fields, items, strict=True) for place in places(item, f"{at}.{field}")]
