"""Opens a TorchScript archive with ``torch.jit``. One of the two run sides that need torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torchship.bundle.artifact import Artifact, Settings
from torchship.formats import recognise, torchscript
from torchship.measure.knobs import Knob, threads_knob
from torchship.targets.runner import Array, Needs


class TorchSession:
    """Answers by a torch callable of flat tensors. ``run`` may be called from several threads at once.

    ``reduced``: places of the inputs that the callable takes as bfloat16, which numpy carries as float32.
    """

    def __init__(self, call: Callable[..., Any], artifact: Artifact) -> None:
        import torch

        self._torch = torch
        self._call = call
        self._used = [index for index, name in enumerate(artifact.inputs) if name]
        self._reduced = {i for i, name in enumerate(artifact.inputs) if artifact.adapter.casts.get(name) == "bfloat16"}

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Answer flat arrays in the signature's order."""
        with self._torch.inference_mode():
            answer = self._call(*[self._tensor(index, inputs[index]) for index in self._used])
            return [self._array(tensor) for tensor in (answer if isinstance(answer, (list, tuple)) else [answer])]

    def _tensor(self, index: int, array: Array) -> Any:
        tensor = self._torch.from_numpy(array if array.flags.writeable else array.copy())
        return tensor.bfloat16() if index in self._reduced else tensor

    def _array(self, tensor: Any) -> Array:
        if not tensor.is_inference():  # a constant of the model, or a view of one: the caller gets a copy
            tensor = tensor.detach().clone()
        if tensor.dtype is self._torch.bfloat16:
            tensor = tensor.float()
        array: Array = tensor.resolve_conj().resolve_neg().contiguous().numpy()
        return array

    def close(self) -> None:
        """Drop the model; torch gives its memory back when the last reference goes."""
        del self._call


class TorchThreads:
    """What all that runs in torch have in common: nothing but the threads can be set."""

    def knobs(self, artifact: Artifact, cores: int) -> tuple[Knob, ...]:
        """1, 2, 4 … threads."""
        del artifact
        return (threads_knob(cores),)


class TorchScriptRunner(TorchThreads):
    """``settings.options``: ``optimize_for_inference`` packs the weights for the CPU that it runs on.

    The number of threads is torch's, and so the process's: the session that was opened last decides it.
    """

    needs = Needs(("torch",), "build")

    def open(self, artifact: Artifact, folder: Path, settings: Settings) -> TorchSession:
        """Open the archive; TorchScript is deprecated since torch 2.11 and tells so at every step.

        Raises:
            UnsafeError: it would run or touch more than a model does.
        """
        path = folder / artifact.main
        recognise.check(path, torchscript.KIND)
        import torch

        torch.set_num_threads(settings.threads)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            module = torch.jit.load(  # type: ignore[no-untyped-call]
                str(path), map_location="cpu"
            )
            if settings.options.get("optimize_for_inference"):
                module = torch.jit.optimize_for_inference(module)
        return TorchSession(module, artifact)


RUNNER = TorchScriptRunner()
