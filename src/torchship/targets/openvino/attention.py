"""``aten::scaled_dot_product_attention`` for OpenVINO, whose own is kept, for it is quick.

It gives NaN where a mask hides every key, and nothing at all where several queries share a key's head.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.export import ExportedProgram

from torchship.lowering.program import nodes

aten = torch.ops.aten
_MASK = 3  # its place among the operator's arguments


def mend_attention(program: ExportedProgram) -> None:
    """Do as torch does, in place: zeros where all is hidden, and a key's head given to each query that shares it."""
    for node in list(nodes(program)):
        if node.target is aten.scaled_dot_product_attention.default:
            mask = node.args[_MASK] if len(node.args) > _MASK else node.kwargs.get("attn_mask")
            if node.kwargs.get("enable_gqa"):
                _share_heads(node)
            if isinstance(mask, torch.fx.Node):
                _guard(node, mask)
            if node.graph.owning_module is not None:
                node.graph.owning_module.recompile()


def _share_heads(node: torch.fx.Node) -> None:
    query, *shared = (_sizes(each)[-3] for each in node.args[:3])
    if not all(isinstance(size, int) for size in (query, *shared)):
        return
    with node.graph.inserting_before(node):
        for place, heads in enumerate(shared, 1):
            given = (node.args[place], query // heads, -3)
            node.update_arg(place, node.graph.call_function(aten.repeat_interleave.self_int, given))
    node.kwargs = {name: value for name, value in node.kwargs.items() if name != "enable_gqa"}


def _sizes(node: Any) -> Any:
    return node.meta["val"].shape


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
