"""Operators that OpenVINO's frontend has no rule for, or gets wrong, put into ones that it has.

They are put in while the program is decomposed for the frontend, so that its own decompositions lead to them too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.export import ExportedProgram

from torchship.lowering.algebra import ALGEBRA
from torchship.lowering.arithmetic import PLAIN, SPREADS, WHOLE, vector_norm
from torchship.lowering.distances import DISTANCES
from torchship.lowering.gamma import GAMMA
from torchship.lowering.order import RUNNING
from torchship.lowering.pairs import without_complex
from torchship.lowering.places import PLACES, convolution
from torchship.lowering.program import Table
from torchship.targets.openvino.attention import give_zeros_where_all_is_hidden

aten = torch.ops.aten
LOWERINGS: Table = {
    **PLAIN,
    **SPREADS,
    **WHOLE,
    **PLACES,
    **RUNNING,
    **ALGEBRA,
    **DISTANCES,
    **GAMMA,
    aten.linalg_vector_norm.default: vector_norm,
    aten.convolution.default: convolution,
}

_TAKEN_APART = {aten.index_add.default, aten.linalg_cross.default}  # their rules miss arguments that have a default


def decoder(exported: ExportedProgram) -> Any:
    """Give what ``convert_model`` makes of an exported program itself, of the program without these operators."""
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder
    from openvino.frontend.pytorch.torchdynamo.export_decompositions import ops_to_not_decompose

    table = torch.export.default_decompositions()
    for operator in set(ops_to_not_decompose()) - _TAKEN_APART:
        if operator in table:
            del table[operator]
    for operator, lower in LOWERINGS.items():
        table[operator] = lower
    real = without_complex(exported)
    give_zeros_where_all_is_hidden(real)
    return TorchFXPythonDecoder(real.run_decompositions(table).module(), dynamic_shapes=True)
