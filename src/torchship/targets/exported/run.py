"""Opens torch.export's ``.pt2``. One of the two run sides that need torch."""

from __future__ import annotations

import warnings
from pathlib import Path

from torchship.bundle.artifact import Artifact, Settings
from torchship.formats import exported, recognise
from torchship.targets.runner import Needs
from torchship.targets.torchscript.run import TorchSession, TorchThreads


class ExportedRunner(TorchThreads):
    """Runs the program's graph operator by operator: slow, and the nearest to what was exported."""

    needs = Needs(("torch",), "build")

    def open(self, artifact: Artifact, folder: Path, settings: Settings) -> TorchSession:
        """Open the program; the number of threads is torch's, and so the process's.

        Raises:
            UnsafeError: torch would evaluate more than sizes, or unpickle more than numbers.
        """
        path = folder / artifact.main
        recognise.check(path, exported.KIND)
        import torch

        torch.set_num_threads(settings.threads)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.load(str(path))
            return TorchSession(program.module(), artifact)


RUNNER = ExportedRunner()
