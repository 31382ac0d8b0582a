"""Weights kept as int8 by NNCF: a quarter of the size; computed in float32."""

from __future__ import annotations

from pathlib import Path

from torchship.bundle.artifact import Artifact, Variant
from torchship.targets.openvino.library import core, library
from torchship.targets.openvino.passes._nncf import nncf
from torchship.targets.passes import Work, renamed
from torchship.targets.runner import Needs


class Int8Weights:
    """Symmetric, each output channel with a scale of its own."""

    needs = Needs(("openvino", "nncf"), "quantize")

    def apply(self, work: Work, variant: Variant, out: Path) -> Artifact:
        """Write ``model.xml`` and ``model.bin``."""
        with nncf() as module:
            model = module.compress_weights(core().read_model(str(work.main)), mode=module.CompressWeightsMode.INT8_SYM)
        library().save_model(model, str(out / work.source.main), compress_to_fp16=False)
        return renamed(work, variant)


PASS = Int8Weights()
