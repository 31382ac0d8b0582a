"""One runtime with one net, at its defaults: ``python runtimes.py RUNTIME FILE:NAME BATCH FOLDER [BUNDLE]``.

Says ``ready`` when it answers; then for each line of stdin, seconds, it calls that long and prints the median's
milliseconds. The peers are used as their own documentation shows; ``torchship`` is the bundle's own choice.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def main() -> None:
    """Make it, then take orders."""
    warnings.simplefilter("ignore")
    runtime, named, batch, folder, *bundle = sys.argv[1:]
    call = (
        torchship(named, int(batch), bundle[0])
        if runtime == "torchship"
        else _peer(runtime, named, int(batch), Path(folder))
    )
    for _ in range(5):
        call()
    print("ready", flush=True)
    for line in sys.stdin:
        end, times = time.perf_counter() + float(line), []
        while not times or time.perf_counter() < end:
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        print(median(times) * 1e3, flush=True)


def _source(named: str, batch: int) -> tuple[Any, Any, Any]:
    """The model, an input of ``batch`` rows, and the dims."""
    import importlib.util

    import torch

    path, name = named.rsplit(":", 1)
    spec = importlib.util.spec_from_file_location("nets", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.manual_seed(20260101)
    made = getattr(module, name)()
    example = made["args"][0]
    rows = torch.cat([example] * (batch // 2 + 1))[:batch].contiguous()
    return made["model"], rows, made["dynamic_shapes"]


def torchship(named: str, batch: int, bundle: str) -> Callable[[], Any]:
    """By the bundle: numpy in, numpy out, through the model's own call."""
    import numpy as np

    import torchship as package

    given = Path(bundle).with_suffix(f".{batch}.npy")
    if not given.exists():
        np.save(given, _source(named, batch)[1].numpy())
    rows, model = np.load(given), package.load(bundle)
    print(model.artifact.name, file=sys.stderr)
    return lambda: model(rows)


def _peer(runtime: str, named: str, batch: int, folder: Path) -> Callable[[], Any]:
    import torch

    model, rows, dims = _source(named, batch)
    model = model.requires_grad_(False)
    with torch.inference_mode(runtime in ("eager", "compile", "torchscript")):
        return {
            "eager": _eager, "compile": _compile, "torchscript": _torchscript, "aoti": _aoti,
            "onnxruntime": _onnxruntime, "openvino": _openvino, "openvino-f32": _openvino_f32,
        }[runtime](model, rows, dims, folder)  # fmt: skip


def _inferring(call: Callable[[], Any]) -> Callable[[], Any]:
    import torch

    def inferring() -> Any:
        with torch.inference_mode():
            return call()

    return inferring


def _eager(model: Any, rows: Any, _dims: Any, _folder: Path) -> Callable[[], Any]:
    return _inferring(lambda: model(rows))


def _compile(model: Any, rows: Any, _dims: Any, _folder: Path) -> Callable[[], Any]:
    import torch

    compiled = torch.compile(model)
    return _inferring(lambda: compiled(rows))


def _torchscript(model: Any, rows: Any, _dims: Any, _folder: Path) -> Callable[[], Any]:
    import torch

    fast = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, rows)))
    return _inferring(lambda: fast(rows))


def _aoti(model: Any, rows: Any, dims: Any, folder: Path) -> Callable[[], Any]:
    import torch

    path = folder / "aoti.pt2"
    if not path.exists():
        program = torch.export.export(model, (torch.cat([rows, rows]),), dynamic_shapes=dims)
        torch._inductor.aoti_compile_and_package(program, package_path=str(path))
    loaded = torch._inductor.aoti_load_package(str(path))
    return _inferring(lambda: loaded(rows))


def _onnx(model: Any, rows: Any, dims: Any, folder: Path) -> Path:
    import torch

    path = folder / "model.onnx"
    if not path.exists():
        torch.onnx.export(model, (torch.cat([rows, rows]),), path, dynamo=True, dynamic_shapes=dims, verbose=False)
    return path


def _onnxruntime(model: Any, rows: Any, dims: Any, folder: Path) -> Callable[[], Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(_onnx(model, rows, dims, folder))
    given = {session.get_inputs()[0].name: rows.numpy()}
    return lambda: session.run(None, given)


def _openvino(model: Any, rows: Any, dims: Any, folder: Path, **options: str) -> Callable[[], Any]:
    import openvino

    compiled = openvino.compile_model(openvino.convert_model(_onnx(model, rows, dims, folder)), "CPU", options)
    array = rows.numpy()
    return lambda: compiled([array])


def _openvino_f32(model: Any, rows: Any, dims: Any, folder: Path) -> Callable[[], Any]:
    return _openvino(model, rows, dims, folder, INFERENCE_PRECISION_HINT="f32")


if __name__ == "__main__":
    main()
