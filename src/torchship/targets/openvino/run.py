"""Opens OpenVINO's IR with OpenVINO's runtime; torch is not needed."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from torchship.bundle.artifact import Artifact, Settings
from torchship.errors import InputError
from torchship.measure.knobs import Knob, threads_knob
from torchship.targets.openvino.library import core, library
from torchship.targets.runner import Array, Needs

_INT32 = np.iinfo(np.int32)
_WIDE = {np.dtype(name) for name in ("int64", "uint64", "uint32")}


class OpenVinoSession:
    """``run`` may be called from several threads at once: each call takes an infer request that no other has."""

    def __init__(self, compiled: Any, artifact: Artifact) -> None:
        self._tensor = library().Tensor
        self._compiled = compiled
        places = {port.node.get_friendly_name(): place for place, port in enumerate(compiled.inputs)}
        self._inputs = [(places[name], index, name) for index, name in enumerate(artifact.inputs) if name]
        self._outputs = [
            (place, _passed_on(port, self._inputs, compiled)) for place, port in enumerate(compiled.outputs)
        ]
        self._idle = deque([compiled.create_infer_request()])

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Answer flat arrays in the signature's order: copies, since the request's own memory is written again.

        Raises:
            InputError: a whole number is beyond what OpenVINO computes with (32 bits).
        """
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        try:
            held = [(place, self._carried(inputs[index], name)) for place, index, name in self._inputs]
            for place, array in held:
                request.set_input_tensor(place, self._tensor(array, shared_memory=True))
            request.infer()
            return [
                np.array(request.get_output_tensor(place).data if passed is None else inputs[passed])
                for place, passed in self._outputs
            ]
        finally:
            self._idle.append(request)

    def _carried(self, array: Array, name: str) -> Array:
        """Refuse what would be cut to 32 bits; OpenVINO shares memory only with arrays that it might write to."""
        if array.dtype in _WIDE and array.size and (array.max() > _INT32.max or array.min() < _INT32.min):
            raise InputError(
                f"input {name} holds whole numbers beyond 32 bits, and OpenVINO computes with 32",
                hint="load another artifact of the bundle: torchship.load(…, artifact=…)",
            )
        return array if array.flags.writeable else array.copy()

    def close(self) -> None:
        """Drop the model and its requests; OpenVINO gives their memory back with the last reference."""
        self._idle.clear()
        del self._compiled


def _passed_on(output: Any, inputs: Sequence[tuple[int, int, str]], compiled: Any) -> int | None:
    """The place of the input that this output is, unchanged: OpenVINO leaves its tensor as it was before the call."""
    names = output.get_names()
    return next((index for place, index, _ in inputs if compiled.inputs[place].get_names() & names), None)


class OpenVinoRunner:
    """``settings.options``: ``precision`` is what it computes in (``f32``, ``f16``, ``bf16``).

    ``pinning``: each thread keeps to a core (off: several sessions share the host).
    """

    needs = Needs(("openvino",), "openvino")

    def open(self, artifact: Artifact, folder: Path, settings: Settings) -> OpenVinoSession:
        """Compile the model for this CPU.

        One stream of ``settings.threads`` threads.
        """
        precision = settings.options.get("precision", "f32")
        options = {
            "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": settings.threads,
            "ENABLE_CPU_PINNING": bool(settings.options.get("pinning", False)),
            "INFERENCE_PRECISION_HINT": precision, "EXECUTION_MODE_HINT": "ACCURACY",
        }  # fmt: skip
        return OpenVinoSession(core().compile_model(str(folder / artifact.main), "CPU", options), artifact)

    def knobs(self, artifact: Artifact, cores: int) -> tuple[Knob, ...]:
        """Threads, and whether they keep to a core each."""
        del artifact
        return threads_knob(cores), Knob("pinning", ({"pinning": False}, {"pinning": True}))


RUNNER = OpenVinoRunner()
