"""Whether a manifest contradicts itself: names that nothing bears, paths outside the bundle, counts that don't fit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NoReturn

from torchship.bundle.artifact import Artifact
from torchship.bundle.manifest import ARTIFACTS, CHUNK, MANIFEST, MEASUREMENTS, SIGNATURE, FileEntry, Manifest
from torchship.errors import MalformedError, TorchshipError
from torchship.signature import Leaf, Signature, Tree, numpy_dtype

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


def check_sound(manifest: Manifest) -> None:
    """Raise MalformedError where ``manifest`` contradicts itself or names what lies outside the bundle."""
    for entry in manifest.files:
        _check_entry(entry)
    paths = {entry.path for entry in manifest.files}
    if len(paths) != len(manifest.files):
        _refuse("a file is named twice")
    _check_signature(manifest.signature)
    for shipped in manifest.shipped:
        _check_artifact(shipped.artifact, manifest.signature, paths)
    names = [shipped.artifact.name for shipped in manifest.shipped]
    if len(set(names)) != len(names) or (names and manifest.chosen not in names):
        _refuse("an artifact is named twice, or the chosen one is not there")
    for path in manifest.golden:
        if path not in paths:
            _refuse(f"the golden sample {path!r} is none of the files")


def _check_entry(entry: FileEntry) -> None:
    check_path(entry.path)
    if entry.path in (MANIFEST, MEASUREMENTS, SIGNATURE):
        _refuse(f"{entry.path} can't be among the hashed files")
    if entry.size < 0 or len(entry.chunks) != -(-entry.size // CHUNK):
        _refuse(f"{entry.path} has {len(entry.chunks)} hashes for {entry.size} bytes")


def _check_artifact(artifact: Artifact, signature: Signature, paths: set[str]) -> None:
    if not _NAME.fullmatch(artifact.name):
        _refuse(f"{artifact.name!r} can't be an artifact's name")
    check_path(artifact.main)
    folder = f"{ARTIFACTS}/{artifact.name}/{artifact.main}"
    if folder not in paths and not any(path.startswith(folder + "/") for path in paths):
        _refuse(f"the artifact {artifact.name} has no file {artifact.main!r}")
    if len(artifact.inputs) != len(signature.inputs) or len(artifact.outputs) != len(signature.outputs):
        _refuse(f"the artifact {artifact.name} has other inputs or outputs than the signature")
    if artifact.adapter.batch < 0 or artifact.settings.threads < 0:
        _refuse(f"the artifact {artifact.name} has a negative batch or thread count")


def _check_signature(signature: Signature) -> None:
    for specs in (signature.inputs, signature.outputs):
        names = [spec.name for spec in specs]
        if len(set(names)) != len(names):
            _refuse("a tensor is named twice in the signature")
        for spec in specs:
            _check_dtype(spec.dtype)
            if any(isinstance(size, int) and size < 0 for size in spec.shape):
                _refuse(f"the tensor {spec.name} has a negative size")
    _check_leaves([index for parameter in signature.call for index in _leaves(parameter.tree)], len(signature.inputs))
    _check_leaves(list(_leaves(signature.result)), len(signature.outputs), once=False)


def _check_dtype(name: str) -> None:
    try:
        numpy_dtype(name)
    except TorchshipError as error:
        raise MalformedError(f"{MANIFEST}: {error.what}", where=MANIFEST) from error


def _check_leaves(indices: list[int], count: int, once: bool = True) -> None:
    """Each input stands in the call once; an output may stand in the result several times."""
    if set(indices) != set(range(count)) or (once and len(indices) != count):
        _refuse("the signature's structure doesn't fit its tensors")


def _leaves(tree: Tree) -> Iterator[int]:
    if isinstance(tree, Leaf):
        yield tree.index
    for item in getattr(tree, "items", ()):
        yield from _leaves(item)


def check_path(path: str) -> None:
    """Raise MalformedError unless ``path`` is a plain POSIX path that stays below where it starts."""
    parts = path.split("/")
    if "\\" in path or "\0" in path or parts[0].endswith(":") or any(part in ("", ".", "..") for part in parts):
        _refuse(f"the path {path!r} leaves the bundle, or is no plain POSIX path")


def _refuse(why: str) -> NoReturn:
    raise MalformedError(f"{MANIFEST} contradicts itself: {why}", where=MANIFEST, hint="ship the model again")
