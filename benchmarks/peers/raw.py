"""Child process: one conversion as a competent user writes it, by the tools' own API, into files.

Run as ``python raw.py NET TARGET ROUTE FOLDER``; writes ``FOLDER/seconds``. Not counted: imports, and making the net.
AOTInductor gets the options that torchship gives it, which are quicker than its defaults, and an empty cache.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "measuring"))

Given = dict[str, Any]


def main() -> None:
    """Convert, and write how long it took."""
    name, target, route, folder = sys.argv[1:]
    import nets

    warnings.simplefilter("ignore")
    torch.backends.mha.set_fastpath_enabled(False)  # as torchship does: else another graph is converted
    given = getattr(nets, name)()
    given["model"].requires_grad_(False)
    convert = WAYS[target](Path(folder))
    with torch.no_grad():
        start = time.perf_counter()
        convert(given, CAPTURES[route])
        seconds = time.perf_counter() - start
    (Path(folder) / "seconds").write_text(str(seconds))


def _exported(given: Given) -> torch.export.ExportedProgram:
    return torch.export.export(given["model"], given["args"], dynamic_shapes=given["dynamic_shapes"])


def _scripted(given: Given) -> torch.jit.ScriptModule:
    return torch.jit.script(given["model"])


def _traced(given: Given) -> torch.jit.ScriptModule:
    return torch.jit.trace(given["model"], given["args"], check_trace=False)


Capture = Callable[[Given], Any]
Convert = Callable[[Given, Capture], None]
CAPTURES: dict[str, Capture] = {"export": _exported, "script": _scripted, "trace": _traced}


def _onnx(folder: Path) -> Convert:
    import onnx  # noqa: F401 - the exporter's own imports aren't counted
    import onnxscript  # noqa: F401

    def convert(given: Given, capture: Capture) -> None:
        dynamo = capture is _exported
        axes = {} if dynamo else {"input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}}
        torch.onnx.export(
            capture(given), given["args"], folder / "model.onnx", dynamo=dynamo, verbose=False, **axes
        )  # fmt: skip

    return convert


def _torchscript(folder: Path) -> Convert:
    def convert(given: Given, capture: Capture) -> None:
        torch.jit.save(torch.jit.freeze(capture(given)), folder / "model.pt")

    return convert


def _pt2(folder: Path) -> Convert:
    def convert(given: Given, capture: Capture) -> None:
        torch.export.save(capture(given), folder / "model.pt2")

    return convert


def _aoti(folder: Path) -> Convert:
    import torch._inductor

    from torchship.targets.aoti import cpu
    from torchship.targets.aoti.room import Room

    scratch = Path(tempfile.mkdtemp(dir=folder))
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(scratch / "cache")
    options = Room(scratch, cpu.this_goal()).options()

    def convert(given: Given, capture: Capture) -> None:
        path = str(folder / "model.pt2")
        torch._inductor.aoti_compile_and_package(capture(given), package_path=path, inductor_configs=options)

    return convert


def _openvino(folder: Path) -> Convert:
    import openvino

    def convert(given: Given, capture: Capture) -> None:
        example = {} if capture is _exported else {"example_input": given["args"]}
        model = openvino.convert_model(capture(given), **example)
        openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)

    return convert


WAYS: dict[str, Callable[[Path], Convert]] = {
    "onnx": _onnx, "torchscript": _torchscript, "exported": _pt2, "aoti": _aoti, "openvino": _openvino,
}  # fmt: skip

if __name__ == "__main__":
    main()
