"""Where torch's compiler works: with a cache of its own, and with nothing of this machine in what comes out."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from torchship.targets.aoti.cpu import Goal
from torchship.targets.runner import cxx

# torch's messages carry __FILE__; the cache's own paths go by their hashes into symbols that nobody reads
_WRAPPER = """#!/bin/sh
# The compiler, without the paths of the machine that it runs on, and without a build id.
for argument; do
    case "$argument" in
        *.cpp) set -- "$@" "-ffile-prefix-map=$argument=model.cpp" ;;
    esac
done
export TMPDIR={folder}
exec {compiler} -ffile-prefix-map={torch}=torch -ffile-prefix-map={folder}=. "$@" -s -Wl,--build-id=none
"""


class Room:
    """A folder that torch's compiler uses for all that it writes."""

    def __init__(self, folder: Path, goal: Goal) -> None:
        self.folder = folder
        self._goal = goal

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let torch keep its cache here, and look at no vector instructions wider than those that are asked for.

        Torch proves each by compiling files, loading them, and so on: 2 s for those that are not used.
        """
        from torch._inductor import cpu_vec_isa

        supported = cpu_vec_isa.supported_vec_isa_list
        wanted = [isa for isa in supported if isa.bit_width() == self._goal.simdlen] or supported
        with (
            patch.dict(os.environ, TORCHINDUCTOR_CACHE_DIR=str(self.folder / "cache")),
            patch.object(cpu_vec_isa, "supported_vec_isa_list", wanted),
            patch.object(torch._C, "_select_conv_backend", _backend_of_any_batch),
        ):
            cpu_vec_isa.valid_vec_isa_list.cache_clear()
            yield
        cpu_vec_isa.valid_vec_isa_list.cache_clear()

    def options(self) -> dict[str, Any]:
        """Inductor's options.

        The number of threads is read when the code runs, not compiled in; lower bounds of dims aren't checked, since
        torch.export puts 2 for 1 there; headers aren't precompiled, which costs more than it brings for one model.
        """
        chosen: dict[str, Any] = {
            "cpp.dynamic_threads": True,
            "cpp.vec_isa_ok": True,
            "cpp.simdlen": self._goal.simdlen,
            "aot_inductor.check_lowerbound": False,
            "aot_inductor.precompile_headers": False,
            "aot_inductor.compile_wrapper_opt_level": "O1",
            "aot_inductor.enable_line_tables": False,
            "aot_inductor.enable_frame_pointer": False,
            "cpp_cache_precompile_headers": False,
            "compile_threads": 1,
        }
        if self._goal.march is not None:
            chosen["cpp.march"] = self._goal.march
        if sys.platform == "linux":
            chosen["cpp.cxx"] = (None, str(self._compiler()))
        return _known(chosen)

    def _compiler(self) -> Path:
        """A script with the compiler's own name, which tells torch what kind it is."""
        path = self.folder / Path(cxx()).name
        text = _WRAPPER.format(
            compiler=shlex.quote(cxx()), folder=shlex.quote(str(self.folder)),
            torch=shlex.quote(str(Path(torch.__file__).parent)),
        )  # fmt: skip
        path.write_text(text)
        path.chmod(0o700)
        return path


def _known(options: dict[str, Any]) -> dict[str, Any]:
    """Leave out what this release of torch doesn't know."""
    from torch._inductor import config

    known = config.get_config_copy()
    return {name: value for name, value in options.items() if name in known}


_select_conv_backend = torch._C._select_conv_backend


def _backend_of_any_batch(image: Any, *args: Any, **kwargs: Any) -> Any:
    """Choose a convolution's backend for the sizes that were seen, without asking about others.

    Torch asks whether the batch is below 16, and takes the answer for a bound of the batch for good.
    """
    sizes = [size if isinstance(size, int) else size.node.hint for size in image.shape]
    return _select_conv_backend(image.new_empty(sizes), *args, **kwargs)
