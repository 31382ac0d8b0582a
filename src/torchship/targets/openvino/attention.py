"""``aten::scaled_dot_product_attention`` for OpenVINO, which gives NaN where a mask hides every key."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.export import ExportedProgram

from torchship.lowering.program import nodes

aten = torch.ops.aten
_MASK = 3  # its place among the operator's arguments


def give_zeros_where_all_is_hidden(program: ExportedProgram) -> None:
    """Do as torch does, in place; the operator itself is kept, for OpenVINO has a quick one."""
    for node in list(nodes(program)):
        if node.target is aten.scaled_dot_product_attention.default:
            mask = node.args[_MASK] if len(node.args) > _MASK else node.kwargs.get("attn_mask")
            if isinstance(mask, torch.fx.Node):
                _guard(node, mask)


def _guard(node: torch.fx.Node, mask: torch.fx.Node) -> None:
    graph = node.graph

    def call(operator: Any, *args: Any) -> torch.fx.Node:
        made = graph.call_function(operator, args)
        made.meta.update({name: node.meta[name] for name in ("stack_trace", "nn_module_stack") if name in node.meta})
        return made

    with graph.inserting_before(node):
        if mask.meta["val"].dtype == torch.bool:
            shut = call(aten.logical_not.default, mask)
        else:
            shut = call(aten.eq.Scalar, mask, -math.inf)
        hidden = call(aten.all.dim, shut, -1, True)
        if mask.meta["val"].dtype == torch.bool:
            shown = call(aten.logical_or.default, mask, hidden)
        else:
            shown = call(aten.masked_fill.Scalar, mask, hidden, 0.0)
        node.replace_input_with(mask, shown)
    with graph.inserting_after(node):
        answer = graph.call_function(aten.masked_fill.Scalar, (node, hidden, 0.0))
        answer.meta.update(node.meta)
    node.replace_all_uses_with(answer, delete_user_cb=lambda user: user is not answer)
