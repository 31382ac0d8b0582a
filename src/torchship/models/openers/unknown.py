"""Whatever no other opener knows: says what it is, and what would be right in its place."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from torchship.errors import MalformedError, SourceError, UnsafeError, UsageError
from torchship.formats import recognise
from torchship.models.source import Source

RANK = 1000
_SUPPORTED = (
    "file.py:NAME, package.module:NAME, weights (.pth .pt .bin .ckpt .safetensors) with --model, a pickled module with "
    "--allow, .pt2, a TorchScript archive, .onnx"
)
_TOLD = {
    "Keras": "is a Keras model: not read yet",
    "HDF5": "is an HDF5 file (Keras .h5): not read yet",
    "TFLite": "is a TFLite model: not read yet",
    "npy": "is an array, not a model",
    "npz": "is a set of arrays, not a model",
    "picture": "is a picture, not a model",
}


def recognises(source: Source) -> bool:
    """Everything."""
    return source.file is not None


def describe(source: Source) -> NoReturn:
    """Say what it is.

    Raises:
        UsageError: it is a folder. SourceError: a model that isn't supported, or a file for another purpose.
        MalformedError, UnsafeError: it is damaged, or a pickle.
    """
    path = Path(str(source.file))
    kind = recognise.kind_of(path)
    if kind == "folder":
        raise _folder(path)
    if kind in _TOLD:
        raise SourceError(f"{path} {_TOLD[kind]}", hint=f"a source is one of: {_SUPPORTED}")
    reasons = recognise.look(path).reasons
    if kind == "pickle":
        told = reasons[0] if reasons else "torch did not write it"
        raise UnsafeError(f"{path} is a plain pickle: {told}", hint="torch.save(model.state_dict(), path)")
    raise MalformedError(
        f"{path} is no model: {reasons[0] if reasons else f'it is a {kind} file'}",
        where=str(path), hint=f"get it anew, or save it again; a source is one of: {_SUPPORTED}",
    )  # fmt: skip


def _folder(path: Path) -> UsageError:
    if (path / "saved_model.pb").is_file():
        return UsageError(f"{path} is a TensorFlow SavedModel: not read yet", hint=f"a source is one of: {_SUPPORTED}")
    if (path / "manifest.json").is_file():
        return UsageError(f"{path} is a bundle: it has been shipped already", hint="`torchship predict` runs it")
    return UsageError(f"{path} is a folder", hint=f"a source is one of: {_SUPPORTED}")
