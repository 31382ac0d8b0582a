"""Opens an ``.onnx`` file with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torchship.bundle.artifact import Artifact, Settings
from torchship.targets.runner import Array, Needs


class OnnxSession:
    """``run`` may be called from several threads at once."""

    def __init__(self, session: Any, artifact: Artifact) -> None:
        self._run = session.run
        self._inputs = [(name, index) for index, name in enumerate(artifact.inputs) if name]
        self._outputs = list(artifact.outputs)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Answer flat arrays in the signature's order."""
        answers: list[Array] = self._run(self._outputs, {name: inputs[index] for name, index in self._inputs})
        return answers

    def close(self) -> None:
        """Drop the session; ONNX Runtime gives its memory back when the last reference goes."""
        del self._run


class OnnxRunner:
    """CPU only."""

    needs = Needs(("onnxruntime",))

    def open(self, artifact: Artifact, folder: Path, settings: Settings) -> OnnxSession:
        """Open the file; one thread a session unless told otherwise, and no spinning between calls."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = settings.threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        path = str(folder / artifact.main)
        return OnnxSession(onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]), artifact)


RUNNER = OnnxRunner()
