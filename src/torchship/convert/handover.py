"""Forms as files: how a live object gets to the worker.

A class that came by pickle has no source for ``torch.jit.script``, and a fork after torch's first operation hangs in
OpenMP. So a live object is captured where it lives, and the worker starts from what lies in a folder.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import torch

from torchship.convert.capture import axes_of, capture, dynamic_shapes
from torchship.errors import CaptureError, TorchshipError
from torchship.models.model import Model
from torchship.signature import Signature
from torchship.targets.builder import Captured, Form

_EXAMPLES = "examples.pt"


class Failed(msgspec.Struct, frozen=True):
    """Why a form could not be captured or written; told when a route asks for it."""

    what: str
    where: str | None = None
    hint: str | None = None
    op: str | None = None


def write(model: Model, forms: Iterable[Form], signature: Signature, folder: Path) -> None:
    """Capture ``model`` in each of ``forms`` and write them into ``folder``; what fails is written as a failure."""
    for form in forms:
        try:
            captured = capture(model, form, signature)
            _save(form, captured.value, folder)
        except TorchshipError as error:
            failed = Failed(error.what, error.where, error.hint, error.op)
            (folder / f"{form.value}.failed").write_bytes(msgspec.json.encode(failed))
            continue
        torch.save(captured.examples, folder / _EXAMPLES)


def read(folder: Path, form: Form, signature: Signature) -> Captured:
    """Read a form back.

    Raises:
        CaptureError: it could not be captured; says why.
    """
    if (folder / f"{form.value}.failed").is_file():
        failed = msgspec.json.decode((folder / f"{form.value}.failed").read_bytes(), type=Failed)
        raise CaptureError(failed.what, where=failed.where, hint=failed.hint, op=failed.op)
    examples = torch.load(folder / _EXAMPLES, weights_only=True)
    return Captured(form, _load(form, folder), tuple(examples), signature, dynamic_shapes(axes_of(signature)))


def _save(form: Form, value: Any, folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if form is Form.EXPORTED:
                value.example_inputs = None
                torch.export.save(value, folder / "exported.pt2")
            else:
                torch.jit.save(value, folder / f"{form.value}.pt")
        except Exception as error:
            raise CaptureError(
                f"captured as {form.value}, but torch can't write that to a file: {error}",
                hint="put the model into a file and ship file.py:NAME, which needs no such step",
            ) from error


def _load(form: Form, folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if form is Form.EXPORTED:
            return torch.export.load(folder / "exported.pt2")
        return torch.jit.load(str(folder / f"{form.value}.pt"))  # type: ignore[no-untyped-call]
