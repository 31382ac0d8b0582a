"""Looks into a bundle: its files against its manifest, and its artifacts' files against what opening them would do."""

from __future__ import annotations

from pathlib import Path

from torchship.bundle.opening import Bundle, open_bundle
from torchship.errors import RefusedError
from torchship.formats import exported, recognise, torchscript
from torchship.formats.findings import Findings, described

KIND = "bundle"
_READABLE = {"onnx", torchscript.KIND, exported.KIND}  # of other formats a look says nothing


def look(path: Path) -> Findings:
    """Look into a bundle's folder or ``.ship`` file; raises UsageError where there is none."""
    try:
        with open_bundle(path) as bundle:
            signature = bundle.manifest.signature
            reasons = tuple(_reasons(bundle))
            names = tuple(shipped.artifact.name for shipped in bundle.manifest.shipped)
            inputs, outputs = described(signature.inputs), described(signature.outputs)
            return Findings(KIND, reasons, inputs, outputs, artifacts=names)
    except RefusedError as error:
        return Findings(KIND, (error.what,))


def _reasons(bundle: Bundle) -> list[str]:
    reasons = []
    for shipped in bundle.manifest.shipped:
        main = bundle.artifact_folder(shipped.artifact.name) / shipped.artifact.main
        found = recognise.look(main) if main.is_file() else None
        if found is not None and found.kind in _READABLE:
            reasons += [f"the artifact {shipped.artifact.name}: {reason}" for reason in found.reasons]
    return reasons
