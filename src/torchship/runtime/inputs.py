"""From a file's bytes to a model's named inputs: ``.npy``, ``.npz``, JSON, PNG, JPEG, told apart by their content."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from torchship.errors import InputError, MalformedError
from torchship.formats import npy, zips
from torchship.formats.pictures import is_picture, picture_channels, read_picture
from torchship.signature import Constant, Signature, TensorSpec
from torchship.targets import Array

_WAYS = "give a .npy, .npz, .json, .png or .jpg file"


def named_inputs(raw: bytes, signature: Signature, name: str) -> dict[str, Any]:
    """Give the inputs that ``raw`` holds, by name, not yet held against the signature.

    JSON is ``{"inputs": {NAME: nested lists}}``, ``{NAME: nested lists}``, or the lists alone where there is one input.

    Raises:
        InputError: it holds something that the model doesn't take.
        MalformedError, UnsafeError: it is damaged, or holds what would have to be executed.
    """
    if not raw:
        raise MalformedError(f"{name} is empty", where=name, hint=_WAYS)
    if is_picture(raw[:8]):
        return _picture(raw, signature, name)
    if raw.startswith(npy.MAGIC):
        return {_only(signature, name).name: npy.read_array(raw, name)}
    if zips.is_zip(raw[:4]):
        return dict(npy.read_arrays(io.BytesIO(raw), name))
    return _json(raw, signature, name)


def free_inputs(raw: bytes, names: Sequence[str], name: str) -> dict[str, Array]:
    """Give the inputs that ``raw`` holds for a model that doesn't say which types and sizes it takes.

    Arrays keep their type; JSON's fractions become float32 and its whole numbers int64; a picture is uint8
    ``[1, channels, height, width]`` of one channel where it is grey, else of three.

    Raises:
        InputError: it holds other names than ``names``, or lists that are no array.
        MalformedError, UnsafeError: as ``named_inputs`` does.
    """
    if is_picture(raw[:8]):
        return {names[0]: read_picture(raw, picture_channels(raw, name), (None, None), name)[None]}
    found = named_inputs(raw, _nameless(names), name)
    if found.keys() != set(names):
        raise InputError(
            f"{name} holds {', '.join(found) or 'nothing'}, the model takes {', '.join(names)}", where=name
        )
    return {key: _free_array(value, key) for key, value in found.items()}


def _nameless(names: Sequence[str]) -> Signature:
    """A signature of names alone."""
    inputs = tuple(TensorSpec(name, "float32", ()) for name in names)
    return Signature(inputs, (), (), (), Constant(None))


def _free_array(value: Any, name: str) -> Array:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"input {name} is no array: its lists have different lengths") from error
    if array.dtype.kind not in "biufc":
        raise InputError(f"input {name} holds something else than numbers")
    return array.astype(np.float32) if not isinstance(value, np.ndarray) and array.dtype.kind == "f" else array


def _only(signature: Signature, name: str) -> TensorSpec:
    if len(signature.inputs) != 1:
        names = ", ".join(spec.name for spec in signature.inputs)
        raise InputError(
            f"{name} holds one array, the model takes {names}", hint="give a .npz or .json with all of them"
        )
    return signature.inputs[0]


def _picture(raw: bytes, signature: Signature, name: str) -> dict[str, Any]:
    spec = _only(signature, name)
    if spec.dtype != "uint8" or len(spec.shape) not in (3, 4) or spec.shape[-3] not in (1, 3):
        shape = ", ".join(str(size) for size in spec.shape)
        raise InputError(
            f"{name} is a picture, which needs an input of uint8 [batch, 1 or 3, height, width]; "
            f"the model takes {spec.name}: {spec.dtype} [{shape}]",
            hint="ship the model with a `preprocess` that takes the picture as it is, or give a .npy file",
        )
    height, width = (size if isinstance(size, int) else None for size in spec.shape[-2:])
    pixels = read_picture(raw, int(spec.shape[-3]), (height, width), name)
    return {spec.name: pixels[None] if len(spec.shape) == 4 else pixels}


def _json(raw: bytes, signature: Signature, name: str) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError(
            f"{name} is neither an array, a picture nor JSON: {error}", where=name, hint=_WAYS
        ) from error
    if isinstance(document, dict):
        inner = document.get("inputs", document)
        return dict(inner) if isinstance(inner, Mapping) else {_only(signature, name).name: inner}
    return {_only(signature, name).name: document}
