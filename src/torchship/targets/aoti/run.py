"""Opens an AOTInductor package. One of the run sides that need torch: the code calls its kernels."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from typing import Any

from torchship.bundle.artifact import Artifact, Settings
from torchship.errors import ConversionError
from torchship.targets.runner import Needs
from torchship.targets.torchscript.run import TorchSession, TorchThreads

_UNPACKING = threading.Lock()  # the loader reads TMPDIR, which is the whole process's


class AotiRunner(TorchThreads):
    """``settings.threads`` is torch's, and so the process's: the session that was opened last decides it."""

    needs = Needs(("torch",), "build")

    def open(self, artifact: Artifact, folder: Path, settings: Settings) -> TorchSession:
        """Open the package.

        Sizes and types beyond what it was compiled for raise, rather than read what isn't theirs: the code checks
        them where ``AOTI_RUNTIME_CHECK_INPUTS`` is set before its first call.
        """
        import torch

        os.environ.setdefault("AOTI_RUNTIME_CHECK_INPUTS", "1")
        torch.set_num_threads(settings.threads)
        loader = _load(folder / artifact.main)

        def call(*inputs: Any) -> Any:
            torch.get_num_threads()  # makes OpenMP know the number in this thread, as torch's own kernels do
            return loader.run(list(inputs))

        return TorchSession(call, artifact)


def _load(path: Path) -> Any:
    """Load without ``aoti_load_package``, which compiles files to find out about the CPU (10 s).

    The loader unpacks the library into the temporary folder and leaves it there if the process is killed. A library
    that is loaded needs its file no more: so it goes at once.
    """
    import torch

    if not hasattr(torch._C, "_aoti"):
        raise ConversionError(
            "this build of torch has no AOTInductor runtime", hint="the wheels of pytorch.org have it"
        )
    with _UNPACKING, tempfile.TemporaryDirectory(prefix="torchship-aoti-") as folder:
        before = os.environ.get("TMPDIR")
        os.environ["TMPDIR"] = folder
        try:
            return torch._C._aoti.AOTIModelPackageLoader(str(path), "model", False, 1, -1)
        finally:
            if before is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = before


RUNNER = AotiRunner()
