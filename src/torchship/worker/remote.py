"""A session in a child process: what runs there disturbs and harms nothing here."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from torchship.bundle.artifact import Artifact, Settings
from torchship.signature import Signature
from torchship.targets import Array
from torchship.worker.process import Worker
from torchship.worker.protocol import Open, Opened, Ran, Run, Time, Timed

_OPEN_SECONDS = 120.0
_RUN_SECONDS = 600.0


class RemoteSession:
    """Runs one artifact in a worker. Not for the hot path: arrays go by file."""

    def __init__(
        self, artifact: Artifact, folder: Path, signature: Signature, settings: Settings | None = None
    ) -> None:
        """Open it there.

        Raises:
            WorkerError: the worker crashed, hung, or took too much memory.
            TorchshipError: what opening it raised.
        """
        self._scratch = tempfile.TemporaryDirectory(prefix="torchship-")
        self._worker = Worker(Path(self._scratch.name) / "log")
        try:
            job = Open(artifact, signature, str(folder.resolve()), settings or artifact.settings)
            self.opened = self._worker.ask(job, Opened, _OPEN_SECONDS)
        except BaseException:
            self.close()
            raise

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Answer flat arrays in the signature's order; raises as the constructor does."""
        answers = Path(self._scratch.name) / "outputs.npz"
        self._worker.ask(Run(self._put(inputs), str(answers)), Ran, _RUN_SECONDS)
        with np.load(answers, allow_pickle=False) as arrays:
            return [arrays[str(place)] for place in range(len(arrays.files))]

    def time(self, inputs: Sequence[Array], seconds: float) -> tuple[float, ...]:
        """Call it for ``seconds``, there; give milliseconds a call."""
        return self._worker.ask(Time(self._put(inputs), seconds), Timed, _RUN_SECONDS).milliseconds

    def _put(self, inputs: Sequence[Array]) -> str:
        path = Path(self._scratch.name) / "inputs.npz"
        np.savez(path, **{str(place): array for place, array in enumerate(inputs)})  # type: ignore[arg-type]
        return str(path)

    def close(self) -> None:
        """End the worker."""
        self._worker.close()
        self._scratch.cleanup()
