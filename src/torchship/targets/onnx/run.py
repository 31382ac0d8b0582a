"""Opens an ``.onnx`` file with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torchship.bundle.artifact import Artifact, Settings
from torchship.errors import UsageError
from torchship.formats import onnx
from torchship.formats.mapped import mapped
from torchship.measure.knobs import Knob, threads_knob
from torchship.targets.runner import Array, Needs

_OPTIMIZATION = {
    "disabled": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
_OPTIONS = {"graph_optimization", "spinning", "arena"}


class OnnxSession:
    """``run`` may be called from several threads at once."""

    def __init__(self, run: Any, artifact: Artifact) -> None:
        self._run = run
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
    """On the CPU. ``settings.options``, all of them optional, and each the default that serves one thread best.

    ``graph_optimization``: ``disabled``, ``basic``, ``extended`` or ``all`` (the default). ``spinning``: threads wait
    busily between calls (off: it takes the CPU from others). ``arena``: memory is kept between calls (on).
    """

    needs = Needs(("onnxruntime",))

    def open(self, artifact: Artifact, folder: Path, settings: Settings) -> OnnxSession:
        """Open the file.

        Raises:
            UnsafeError: it keeps data outside its folder.
            UsageError: an option is unknown.
        """
        import onnxruntime

        path = folder / artifact.main
        check_external_data(path)
        session = onnxruntime.InferenceSession(
            str(path), _session_options(onnxruntime, settings), providers=["CPUExecutionProvider"]
        )
        return OnnxSession(_run_of(session), artifact)

    def knobs(self, artifact: Artifact, cores: int) -> tuple[Knob, ...]:
        """Threads, with waiting busily; how far the graph is rewritten (unless it must not be); the memory arena."""
        rewriting = ("all", "extended", "basic")
        fixed = "graph_optimization" in artifact.settings.options
        levels = (
            () if fixed else (Knob("graph_optimization", tuple({"graph_optimization": each} for each in rewriting)),)
        )
        return threads_knob(cores, spinning=True), *levels, Knob("arena", ({"arena": True}, {"arena": False}))


def check_external_data(path: Path) -> None:
    """Raise UnsafeError where a model keeps data outside its folder; most keep none elsewhere and are not parsed."""
    with mapped(path) as raw:
        if onnx.may_keep_data_elsewhere(raw):
            onnx.check(raw, path.parent)


def _session_options(onnxruntime: Any, settings: Settings) -> Any:
    if unknown := settings.options.keys() - _OPTIONS:
        raise UsageError(
            f"ONNX Runtime has no option {sorted(unknown)[0]!r} here", hint=f"known: {', '.join(sorted(_OPTIONS))}"
        )
    level = settings.options.get("graph_optimization", "all")
    if level not in _OPTIMIZATION:
        raise UsageError(f"graph_optimization is {level!r}", hint=f"one of: {', '.join(_OPTIMIZATION)}")
    spinning = "1" if settings.options.get("spinning", False) else "0"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, _OPTIMIZATION[str(level)])
    options.enable_cpu_mem_arena = bool(settings.options.get("arena", True))
    options.log_severity_level = 3  # errors only: they are raised as well
    options.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    options.add_session_config_entry("session.inter_op.allow_spinning", spinning)
    return options


def _run_of(session: Any) -> Any:
    """The session's ``run``, or one that knows bfloat16."""
    from torchship.targets.onnx import bfloat16

    if any(value.type == bfloat16.TYPE for value in (*session.get_inputs(), *session.get_outputs())):
        return bfloat16.Bfloat16Session(session).run
    return session.run


RUNNER = OnnxRunner()
