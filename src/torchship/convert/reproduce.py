"""Writes ``reproduce.py``: a failure shown by the tools' own API alone, for the user to look at and to report.

Nothing here needs torch. What a script starts from is the user's source, so it holds paths of the user's machine: it
lies beside the bundle, never in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torchship.convert import reproduction_text as text
from torchship.convert import spelling
from torchship.errors import CaptureError
from torchship.models.source import PythonObject, Source
from torchship.signature import Dim, Signature
from torchship.signature.naming import identifiers
from torchship.targets.builder import Form, Route
from torchship.targets.reproduction import Reproduction, reproduction_of

SEED = 20260101  # as in models.open
INPUTS = "inputs.npz"
ONNX = "start.onnx"


@dataclass(frozen=True)
class Case:
    """A failure. ``source`` is None for a live module; ``ran``: it came up while the artifact ran on ``inputs.npz``."""

    source: Source | None
    signature: Signature
    target: str
    route: Route
    reason: str
    ran: bool = False


def script(case: Case) -> str | None:
    """Give the script; None where the source can't be opened by the tools alone, or the target doesn't say how."""
    tools = reproduction_of(case.target)
    opening = _opening(case)
    if tools is None or opening is None or case.route.name not in tools.convert:
        return None
    try:
        parts = [text.HEAD.format(**_facts(case)), opening, *_middle(case), *_end(case, tools)]
    except CaptureError:  # the call can't be spelled out: the message is all there is to show
        return None
    return "\n".join(parts)


def _facts(case: Case) -> dict[str, object]:
    named = case.source.text if case.source else "a live module"
    title = f"{named} to {case.target} by {case.route.name}, with the tools' own API alone."
    told = case.reason.replace("\\", "\\\\").replace('"""', "'''")
    return {"title": title, "told": told, "seed": SEED, **_names(case.signature)}


def _names(signature: Signature) -> dict[str, object]:
    axes = [{axis: size for axis, size in enumerate(spec.shape) if isinstance(size, str)} for spec in signature.inputs]
    return {
        "inputs": [spec.name for spec in signature.inputs],
        "outputs": [spec.name for spec in signature.outputs],
        "dims": "\n".join(map(_dim, sorted(signature.dims, key=lambda dim: bool(dim.root)))),
        "axes": {spec.name: each for spec, each in zip(signature.inputs, axes, strict=True) if each},
    }


def _dim(dim: Dim) -> str:
    if not dim.root:
        return f"DIMS[{dim.name!r}] = torch.export.Dim({dim.name!r}, min={dim.min}, max={dim.max})"
    times = f"{dim.factor} * " if dim.factor != 1 else ""
    return f"DIMS[{dim.name!r}] = {times}DIMS[{dim.root!r}]" + (f" + {dim.offset}" if dim.offset else "")


def _opening(case: Case) -> str | None:
    """The lines that give ``found``: a module, or the source dict."""
    source = case.source
    if source is None:
        return text.LIVE
    if source.python is not None:
        return _imported(source.python, "found") + (text.FILLED if source.inputs or source.example else "")
    file = str(Path(str(source.file)).resolve())
    if source.model is not None and not source.allow:
        return _imported(source.model, "found") + text.WEIGHTS.format(file=file) + text.COMPLETED
    native = {Form.EXPORTED: ".pt2", Form.ONNX: ".onnx"}.get(case.route.form)
    return text.NATIVE[case.route.form].format(file=file) if native == Path(file).suffix else None


def _imported(named: PythonObject, variable: str) -> str:
    if named.file is not None:
        path = Path(named.file)
        return text.FILE.format(folder=str(path.parent), stem=path.stem, file=str(path), name=named.name, into=variable)
    return text.MODULE.format(module=named.module, name=named.name, into=variable)


def _middle(case: Case) -> list[str]:
    """From ``found`` to what the route starts from."""
    if case.source is not None and case.source.file and case.source.model is None:
        return []
    if case.route.form is Form.ONNX:
        return [text.FLAT, f'onnx = str(Path(__file__).with_name("{ONNX}"))\n']
    return [text.FLAT, _spelled(case) if case.route.form is Form.SCRIPTED else text.FORMS[case.route.form]]


def _spelled(case: Case) -> str:
    names = identifiers(tuple(spec.name for spec in case.signature.inputs))
    forward = spelling.forward(names, case.signature.call, case.signature.result)
    return text.SCRIPTED.format(forward=forward.replace("\n", "\n    ").rstrip())


def _end(case: Case, tools: Reproduction) -> list[str]:
    """Convert; where it is what was made that fails, run it, and hold it against the model where that is at hand."""
    converted = [tools.convert[case.route.name]]
    if not case.ran:
        return converted
    compared = [text.COMPARED] if text.FLAT in _middle(case) else []
    return [*converted, text.ARRAYS, tools.run, *compared]
