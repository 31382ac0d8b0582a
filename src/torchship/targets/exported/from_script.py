"""From TorchScript to an ExportedProgram, by torch's own converter: an ``if`` on a value becomes torch.cond."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import torch
import torch.export._trace

if TYPE_CHECKING:
    from torchship.targets.builder import Captured

_RAISE = "prim::RaiseException"
_OPERATORS: dict[str, Callable[..., Any]] = {
    "aten::eq": operator.eq, "aten::ne": operator.ne, "aten::lt": operator.lt, "aten::le": operator.le,
    "aten::gt": operator.gt, "aten::ge": operator.ge, "aten::add": operator.add, "aten::sub": operator.sub,
    "aten::mul": operator.mul, "aten::div": operator.truediv, "aten::floordiv": operator.floordiv,
    "aten::remainder": operator.mod, "aten::neg": operator.neg, "aten::Int": torch.sym_int,
    "aten::Float": torch.sym_float,
}  # fmt: skip


def program_of(captured: Captured) -> torch.export.ExportedProgram:
    """Convert a scripted module, with the sizes of its signature left open.

    Raises:
        whatever torch's converter raises: it has no rule for a loop whose number of turns isn't fixed, among others.
    """
    from torch._export.converter import TS2EPConverter

    export: Callable[..., Any] = torch.export._trace._export

    def shaped(module: torch.fx.GraphModule, *args: Any, **options: Any) -> Any:
        options |= {"dynamic_shapes": captured.dynamic_shapes, "prefer_deferred_runtime_asserts_over_guards": True}
        return export(_with_plain_numbers(module), *args, **options)

    with patch.object(torch.export._trace, "_export", shaped), torch.no_grad():
        return TS2EPConverter(captured.value, tuple(captured.examples)).convert()


def _with_plain_numbers(module: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """Have Python compute with numbers, since TorchScript's operators don't take symbols; asserts are left out."""
    for inner in module.modules():
        if isinstance(inner, torch.fx.GraphModule):
            for node in reversed(list(inner.graph.nodes)):
                _plain(inner, node)
            inner.recompile()
    return module


def _plain(module: torch.fx.GraphModule, node: torch.fx.Node) -> None:
    if node.target in (torch.cond, torch.ops.higher_order.cond) and not node.users:  # an assert: it gives nothing
        module.graph.erase_node(node)
        return
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return
    if schema.name == _RAISE and not node.users:
        module.graph.erase_node(node)
    elif schema.name in _OPERATORS and not any("Tensor" in str(each.type) for each in schema.arguments):
        node.target = _OPERATORS[schema.name]
