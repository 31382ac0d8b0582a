"""Static int8 by NNCF: weights and what flows between layers, with the ranges that typical inputs show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from torchship.bundle.artifact import Artifact, Variant
from torchship.targets.distance import distance
from torchship.targets.openvino.library import core, library
from torchship.targets.openvino.passes._nncf import nncf
from torchship.targets.passes import Work, by_loss, check_left, layers_told, renamed
from torchship.targets.runner import Array, Needs

_KINDS = ("Convolution", "GroupConvolution", "MatMul")
_LOOKED_AT = 16  # calibration rows that a layer's sensitivity is seen on
_SUBSET = 256


class Int8:
    """Layers are called as their nodes in the model are."""

    needs = Needs(("openvino", "nncf"), "quantize")

    def apply(self, work: Work, variant: Variant, out: Path) -> Artifact:
        """Write ``model.xml`` and ``model.bin``."""
        _layers(work.kept, core().read_model(str(work.main)))
        model = _quantised(work, list(work.kept))
        library().save_model(model, str(out / work.source.main), compress_to_fp16=False)
        return renamed(work, msgspec.structs.replace(variant, how=layers_told(work.kept)))

    def sensitive(self, work: Work, seconds: float) -> tuple[str, ...]:
        """Each layer is quantised alone, and the answers compared with the float model's."""
        names = _layers((), core().read_model(str(work.main)))
        rows = [work.named(row) for row in work.typical.rows(_LOOKED_AT)]
        right = _answers(core().read_model(str(work.main)), rows)

        def lost(name: str) -> float:
            alone = _quantised(work, [each for each in names if each != name], rows=_LOOKED_AT)
            return distance(right, _answers(alone, rows))

        return by_loss(names, lost, seconds)


def _layers(kept: Sequence[str], model: Any) -> list[str]:
    names = [node.get_friendly_name() for node in model.get_ops() if node.get_type_name() in _KINDS]
    check_left(names, kept, _KINDS)
    return names


def _quantised(work: Work, kept: list[str], rows: int = _SUBSET) -> Any:
    with nncf() as module:
        data = module.Dataset(list(work.typical.rows(rows)), work.named)
        scope = module.IgnoredScope(names=kept) if kept else None
        return module.quantize(core().read_model(str(work.main)), data, subset_size=rows, ignored_scope=scope)


def _answers(model: Any, rows: list[dict[str, Array]]) -> list[list[Array]]:
    compiled = core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1})
    return [[np.array(each) for each in compiled(row).to_tuple()] for row in rows]


PASS = Int8()
