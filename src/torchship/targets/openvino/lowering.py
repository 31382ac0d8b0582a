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
from torchship.lowering.places import PLACES, convolution, unfold
from torchship.lowering.program import Table, nodes
from torchship.lowering.refusal import UnloweredError
from torchship.targets.openvino.attention import mend_attention

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
    aten.unfold.default: unfold,
}

_TAKEN_APART = {aten.index_add.default, aten.linalg_cross.default}  # their rules miss arguments that have a default
_COMPUTING = {
    "add", "sub", "rsub", "mul", "remainder", "floor_divide", "bitwise_and", "bitwise_or", "bitwise_xor", "__and__",
    "__or__", "__xor__",
}  # fmt: skip


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
    _refuse_wide_numbers(exported)
    real = without_complex(exported)
    mend_attention(real)
    return TorchFXPythonDecoder(real.run_decompositions(table).module(), dynamic_shapes=True)


def _refuse_wide_numbers(program: ExportedProgram) -> None:
    """Raise UnloweredError where whole numbers are computed with one that 32 bits don't hold."""
    for node in nodes(program):
        if _name(node.target) in _COMPUTING:
            wide = [each for each in node.args if isinstance(each, int) and not -(2**31) <= each < 2**32]
            if wide and not node.meta["val"].is_floating_point():
                raise UnloweredError(
                    f"OpenVINO computes whole numbers in 32 bits, and {wide[0]} needs more",
                    "take a target that computes in 64 bits: onnx, torchscript, exported, aoti",
                )


def _name(target: Any) -> str:
    return str(getattr(target, "overloadpacket", "")).removeprefix("aten.")
