"""Child process, with torch: one raw tool, called as a competent user would, on the same calls.

Run as ``python rawtools.py FILE NAME CALLS OUT TOOL``; writes JSON, ``outcome`` (right, wrong, raises or failed) and
``told`` of the best of the ways that the tool offers, and ``silent``: whether the first way that converted was wrong.
"""

from __future__ import annotations

import json
import pickle
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from compare import difference
from nest import leaves, plain, refilled
from opened import Opened
from probes import array

Call = Callable[[dict[str, Any]], Any]
_ORDER = ["right", "wrong", "raises", "failed"]


def main() -> None:
    """Try the tool's ways; write the best outcome."""
    file, name, calls, out, tool = sys.argv[1:]
    warnings.simplefilter("ignore")
    given = pickle.loads(Path(calls).read_bytes())
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        for way in WAYS[tool]:
            outcomes.append(_tried(way, Opened(Path(file), name), Path(folder), given))
            if outcomes[-1][0] == "right":
                break
    made = [each for each in outcomes if each[0] != "failed"]
    best = min(outcomes, key=lambda each: _ORDER.index(each[0]))
    silent = bool(made) and made[0][0] == "wrong"
    Path(out).write_text(json.dumps({"outcome": best[0], "told": best[1][:400], "silent": silent}))


def _tried(way: Any, opened: Opened, folder: Path, given: dict[str, Any]) -> tuple[str, str]:
    try:
        with torch.no_grad():
            call = way(opened, folder)
    except Exception as error:  # noqa: BLE001 - what it raises is what is told
        return "failed", f"{type(error).__name__}: {error}"
    for each in given["calls"]:
        try:
            with torch.no_grad():
                got = call(each)
        except Exception as error:  # noqa: BLE001
            return "raises", f"{type(error).__name__}: {error}"
        if isinstance(got, _Flat):
            told = difference([*leaves(each["result"])], got.arrays, given["coarse"])
        else:
            told = difference(each["result"], plain(got, array), given["coarse"])
        if told:
            return "wrong", told
    return "right", ""


class _Flat:
    """Answers of a tool that knows no structure."""

    def __init__(self, arrays: list[Any]) -> None:
        self.arrays = [np.asarray(each) for each in arrays]


def _module(opened: Opened) -> torch.nn.Module:
    if opened.preprocess is None and opened.postprocess is None:
        return opened.model  # type: ignore[no-any-return]
    parts = [opened.preprocess, opened.model, opened.postprocess]
    return torch.nn.Sequential(*(part for part in parts if part is not None)).eval()


def _shapes(opened: Opened) -> Any:
    if not opened.shapes or opened.preprocess is None:
        return opened.shapes
    return [list(opened.shapes.values())]


def _tensors(opened: Opened, call: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    given = leaves((call["args"], call["kwargs"]))
    each = (torch.from_numpy(value.copy()) for value in given)
    likes = torch.utils._pytree.tree_leaves((opened.args, opened.kwargs))
    dtypes = iter([value.dtype for value in likes if isinstance(value, torch.Tensor)])
    cast = (value.to(next(dtypes)) for value in each)
    return refilled((opened.args, opened.kwargs), cast, lambda value: isinstance(value, torch.Tensor))  # type: ignore[no-any-return]


def _export(opened: Opened, strict: bool) -> torch.export.ExportedProgram:
    return torch.export.export(_module(opened), opened.args, opened.kwargs, dynamic_shapes=_full(opened), strict=strict)


def _full(opened: Opened) -> Any:
    """torch.export wants every argument named."""
    shapes = _shapes(opened)
    if isinstance(shapes, dict):
        return {name: shapes.get(name) for name in opened.named}
    return shapes


def _exported(strict: bool) -> Any:
    def way(opened: Opened, folder: Path) -> Call:
        torch.export.save(_export(opened, strict), folder / "model.pt2")
        module = torch.export.load(folder / "model.pt2").module()
        return lambda call: _spread(module, opened, call)

    return way


def _spread(module: Any, opened: Opened, call: dict[str, Any]) -> Any:
    args, kwargs = _tensors(opened, call)
    return module(*args, **kwargs)


def _onnx(opened: Opened, folder: Path) -> Call:
    import onnxruntime

    torch.onnx.export(
        _module(opened), opened.args, folder / "model.onnx", kwargs=opened.kwargs or None, dynamo=True,
        dynamic_shapes=_full(opened), verbose=False,
    )  # fmt: skip
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def call(each: dict[str, Any]) -> _Flat:
        arrays = [*leaves((each["args"], each["kwargs"]))]
        if len(names) == len(arrays):
            feed = dict(zip(names, arrays, strict=True))
        else:
            feed = {name: array for name, array in zip(opened.named, arrays, strict=False) if name in names}
        return _Flat(session.run(None, feed))

    return call


def _script(opened: Opened, folder: Path) -> Call:
    torch.jit.script(_module(opened)).save(str(folder / "script.pt"))
    module = torch.jit.load(str(folder / "script.pt"))
    return lambda call: _spread(module, opened, call)


def _trace(opened: Opened, folder: Path) -> Call:
    if opened.kwargs:
        traced = torch.jit.trace(_module(opened), example_kwarg_inputs=opened.named, strict=False)
    else:
        traced = torch.jit.trace(_module(opened), opened.args, strict=False)
    traced.save(str(folder / "trace.pt"))
    module = torch.jit.load(str(folder / "trace.pt"))
    return lambda call: _spread(module, opened, call)


def _openvino(exported: bool) -> Any:
    def way(opened: Opened, folder: Path) -> Call:
        import openvino

        if exported:
            model = openvino.convert_model(_export(opened, strict=False))
        else:
            model = openvino.convert_model(
                _module(opened), example_input=opened.named if opened.kwargs else opened.args
            )
        openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
        compiled = openvino.Core().compile_model(folder / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

        def call(each: dict[str, Any]) -> _Flat:
            arrays = [*leaves((each["args"], each["kwargs"]))]
            return _Flat([np.array(value) for value in compiled(arrays).to_tuple()])

        return call

    return way


WAYS = {
    "exported": [_exported(strict=False), _exported(strict=True)],
    "onnx": [_onnx],
    "torchscript": [_script, _trace],
    "openvino": [_openvino(exported=True), _openvino(exported=False)],
}

if __name__ == "__main__":
    main()
