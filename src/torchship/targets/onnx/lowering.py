"""Operators that torch's ONNX exporter has no rule for, put into ones that it has, before it sees the program."""

from __future__ import annotations

import torch

from torchship.lowering import program
from torchship.lowering.algebra import ALGEBRA
from torchship.lowering.arithmetic import PLAIN
from torchship.lowering.distances import DISTANCES
from torchship.lowering.gamma import GAMMA
from torchship.lowering.order import RUNNING, SORTING
from torchship.lowering.places import CONVOLUTIONS, PLACES, convolution, has_weights_of_its_own

LOWERINGS: program.Table = {**SORTING, **RUNNING, **ALGEBRA, **PLAIN, **PLACES, **DISTANCES, **GAMMA}


def lowered(exported: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """Give a program without these operators; the same one where it has none of them."""
    if has_weights_of_its_own(exported):
        table = {**LOWERINGS, torch.ops.aten.convolution.default: convolution}
        return program.lowered(exported, table, CONVOLUTIONS)
    return program.lowered(exported, LOWERINGS)
