"""Puts a program's operators into others, by a table from the operator to the function that stands for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import torch
from torch.export import ExportedProgram

Table = Mapping[Any, Callable[..., Any]]


def lowered(program: ExportedProgram, table: Table, apart: Collection[Any] = ()) -> ExportedProgram:
    """Give a program without the operators of ``table``; the same one where it has none of them.

    ``apart`` are operators that torch makes of others, which may be the table's.
    """
    called = {node.target for node in nodes(program)}
    wanted = {operator: lower for operator, lower in table.items() if operator in called}
    if called & set(apart):
        default = torch.export.default_decompositions()
        wanted = {**{each: default[each] for each in called & set(apart) if each in default}, **table}
    return program.run_decompositions(wanted) if wanted else program


def nodes(program: ExportedProgram) -> Iterator[torch.fx.Node]:
    """All nodes, also those of branches and loops."""
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            yield from module.graph.nodes
