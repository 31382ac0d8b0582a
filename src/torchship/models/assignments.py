"""Where a model's code binds an attribute anew: no operator writes there, so only the text tells."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from types import FunctionType

from torch import nn

from torchship.models.function_text import parsed
from torchship.models.places import Kind, Place, kind_of

OPERATOR = "prim.SetAttr"  # what TorchScript calls it


def assignment_of(model: nn.Module, name: str) -> Place | None:
    """The line that sets the attribute ``name`` (``layers.0.mean``); None where none is found."""
    path, _, own = name.rpartition(".")
    kind = type(model.get_submodule(path))
    return next((place for method in _methods(kind) for place in _sets(method, own)), None)


def _methods(kind: type[nn.Module]) -> Iterator[FunctionType]:
    """Of the class and its bases, as far as they aren't torch's own; what only makes it is none of them."""
    for base in kind.__mro__:
        for name, value in vars(base).items():
            if inspect.isfunction(value) and name != "__init__" and kind_of(value.__code__.co_filename) >= Kind.LIBRARY:
                yield value


def _sets(method: FunctionType, attribute: str) -> Iterator[Place]:
    tree = parsed(method)
    for node in ast.walk(tree) if tree is not None else ():
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        flat = [part for each in targets for part in (each.elts if isinstance(each, ast.Tuple) else [each])]
        if any(isinstance(each, ast.Attribute) and each.attr == attribute for each in flat):
            yield Place(method.__code__.co_filename, node.lineno, method.__code__.co_name)  # type: ignore[attr-defined]
