"""Weights kept as float16: half the size; what is computed stays float32."""

from __future__ import annotations

from pathlib import Path

from torchship.bundle.artifact import Artifact, Variant
from torchship.targets.openvino.library import core, library
from torchship.targets.passes import Work, renamed
from torchship.targets.runner import Needs


class Fp16:
    """OpenVINO makes them float32 when it compiles the model."""

    needs = Needs(("openvino",), "openvino")

    def apply(self, work: Work, variant: Variant, out: Path) -> Artifact:
        """Write ``model.xml`` and ``model.bin``."""
        library().save_model(core().read_model(str(work.main)), str(out / work.source.main), compress_to_fp16=True)
        return renamed(work, variant)


PASS = Fp16()
