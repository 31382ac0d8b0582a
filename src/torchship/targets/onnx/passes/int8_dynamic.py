"""Products with int8 weights, the other side rounded anew in each call: no calibration data is needed."""

from __future__ import annotations

from pathlib import Path

import onnx_ir

from torchship.bundle.artifact import Artifact, Variant
from torchship.targets.onnx.passes._quantized import KINDS_DYNAMIC, host_of, narrowed, readied, touched
from torchship.targets.onnx.passes._weights import save, shrink
from torchship.targets.onnx.passes.int8_weights import LEAST, rounded
from torchship.targets.passes import Work, check_left, renamed
from torchship.targets.runner import Needs


class Int8Dynamic:
    """MatMul, Gemm, Attention and recurrent layers; convolutions stay as they are, ONNX Runtime is slow in them."""

    needs = Needs(("onnx", "onnxscript"), "build")

    def apply(self, work: Work, variant: Variant, out: Path) -> Artifact:
        """Write ``model.onnx``."""
        from onnxruntime.quantization import QuantType, quantize_dynamic

        with readied(work.main) as ready:
            check_left(touched(ready, KINDS_DYNAMIC), work.kept, KINDS_DYNAMIC)
            quantize_dynamic(
                ready, out / work.source.main, op_types_to_quantize=list(KINDS_DYNAMIC), per_channel=True,
                reduce_range=narrowed(), weight_type=QuantType.QInt8, nodes_to_exclude=list(work.kept),
                extra_options={"MatMulConstBOnly": True},
            )  # fmt: skip
        model = onnx_ir.load(out / work.source.main)
        shrink(model, LEAST, rounded, work.kept)
        save(model, out / work.source.main)
        return renamed(work, variant, host=host_of(work.source.host))


PASS = Int8Dynamic()
