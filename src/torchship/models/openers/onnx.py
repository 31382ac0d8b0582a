"""An ONNX model: the reference for parity is ONNX Runtime itself, with all of its optimisations switched off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from torchship.errors import SourceError, UsageError
from torchship.formats import onnx, recognise
from torchship.formats.mapped import mapped
from torchship.models import draw
from torchship.models.model import Axes, Description
from torchship.models.onnx_model import OnnxModel, onnx_module
from torchship.models.source import InputSpec, Source
from torchship.signature import Dim, TensorSpec
from torchship.signature.naming import identifiers
from torchship.targets.builder import Form

RANK = 70
KIND = "onnx"
_NO_PYTHON = "an ONNX model is a graph of ONNX's operators, with no module of torch behind it"
_CLOSED = dict.fromkeys((Form.EXPORTED, Form.SCRIPTED, Form.TRACED), _NO_PYTHON)


def recognises(source: Source) -> bool:
    """Files that parse as an ONNX model."""
    return source.file is not None and recognise.kind_of(Path(source.file)) == KIND


def describe(source: Source) -> Description:
    """Look into the file, open it in ONNX Runtime, and find out which of its open sizes really are open.

    Raises:
        UnsafeError: it reaches outside its folder, or needs somebody else's operators.
        SourceError: ONNX Runtime can't open or run it. UsageError: it is told what it knows better.
    """
    path = Path(str(source.file)).resolve()
    if source.model is not None:
        raise UsageError(f"{path} brings its own graph", hint="leave --model out")
    recognise.check(path, KIND)
    with mapped(path) as raw:
        contents = onnx.read(raw)
    module = onnx_module(path, contents)
    args: tuple[Tensor, ...] | None = None
    shapes: dict[str, Axes] | None = None
    notes: tuple[str, ...] = ()
    if not source.inputs and source.example is None:
        sizes = _Sizes(module, contents.inputs)
        args, notes = sizes.example(sizes.usual), sizes.notes
        shapes = dict(zip(identifiers(tuple(spec.name for spec in contents.inputs)), sizes.axes, strict=True))
    return Description(
        module, args, dynamic_shapes=shapes, sized=True, notes=notes,
        input_names=tuple(spec.name for spec in contents.inputs),
        output_names=tuple(spec.name for spec in contents.outputs),
        native={Form.ONNX: lambda: path}, closed=_CLOSED,
    )  # fmt: skip


class _Sizes:
    """Which of the sizes that a graph calls open really are: exporters write so also what they baked in."""

    def __init__(self, module: OnnxModel, inputs: Sequence[TensorSpec]) -> None:
        self._module = module
        self._inputs = inputs
        names = list(dict.fromkeys(size for spec in inputs for size in spec.shape if isinstance(size, str)))
        self.usual = self._working(names)
        self._open = {name for name in names if self._answers(self.usual | {name: self.usual[name] + 1})}
        if self._open and not self._answers({n: size + (n in self._open) for n, size in self.usual.items()}):
            self._open = set()
        closed = [name for name in names if name not in self._open]
        drawn = ", ".join(f"{name}={size}" for name, size in self.usual.items())
        self.notes: tuple[str, ...] = ("the example inputs were drawn" + (f", with {drawn}" if drawn else ""),)
        if closed:
            told = ", ".join(closed)
            self.notes += (f"the graph calls these sizes open, and answers at no other than the example's: {told}",)

    @property
    def axes(self) -> list[Axes]:
        """The open axes of each input."""
        return [
            {axis: Dim(size) for axis, size in enumerate(spec.shape) if isinstance(size, str) and size in self._open}
            for spec in self._inputs
        ]

    def example(self, sizes: Mapping[str, int]) -> tuple[Tensor, ...]:
        """Draw inputs of ``sizes``."""
        generator = torch.Generator().manual_seed(0)
        return tuple(
            draw.example(InputSpec(spec.name, spec.dtype, spec.shape), dict(sizes), generator) for spec in self._inputs
        )

    def _working(self, names: list[str]) -> dict[str, int]:
        """Sizes that the graph answers at: different ones first, since equal ones would hide a mix-up."""
        tried = (
            {name: 2 + 3 * place for place, name in enumerate(names)},
            *(dict.fromkeys(names, n) for n in (2, 1, 32, 224)),
        )
        for sizes in tried:
            if self._answers(sizes):
                return sizes
        raise SourceError(
            f"ONNX Runtime refuses every input that was drawn for it: {self._why}",
            hint="--example FILE.npz gives inputs that it takes",
        )

    def _answers(self, sizes: Mapping[str, int]) -> bool:
        try:
            self._module(*self.example(sizes))
        except Exception as error:  # noqa: BLE001 - whatever the runtime raises means that it doesn't
            self._why = str(error).strip().splitlines()[0][:300]
            return False
        return True
