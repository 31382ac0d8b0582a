"""A bare ``.onnx`` file in a bundle's place: what it says of itself is its signature; nothing was proven of it."""

from __future__ import annotations

from pathlib import Path

from torchship.bundle.artifact import Artifact, Settings, Verdict
from torchship.bundle.manifest import SCHEMA, Manifest, Measurements, Origin, Shipped
from torchship.bundle.opening import Bundle
from torchship.errors import MalformedError, RefusedError
from torchship.formats import onnx
from torchship.formats.mapped import mapped
from torchship.runtime.model import ShippedModel
from torchship.signature import Leaf, Parameter, Sequence, Signature
from torchship.targets.adapter import open_session

NOTE = "a bare file: there are no hashes to check, no golden samples, and nothing was proven of it"


def is_bare_onnx(path: Path) -> bool:
    """Whether ``path`` is an ONNX model by its content."""
    if not path.is_file():
        return False
    with mapped(path) as raw:
        return onnx.looks_like(raw)


def load_onnx(path: Path, threads: int | None) -> ShippedModel:
    """Open a bare ``.onnx`` file.

    Raises:
        UnsafeError: it reaches outside its folder, or needs somebody else's operators.
        MalformedError: it is damaged, or the runtime can't open it.
    """
    try:
        with mapped(path) as raw:
            contents = onnx.check(raw, path.parent)
    except RefusedError as error:
        raise type(error)(error.what, where=str(path), hint=error.hint) from error
    signature = signature_of(contents)
    artifact = Artifact(
        name="onnx", target="onnx", route="bare", main=path.name,
        inputs=tuple(spec.name for spec in signature.inputs), outputs=tuple(spec.name for spec in signature.outputs),
    )  # fmt: skip
    bundle = bare_bundle(path, artifact, signature)
    try:
        session = open_session(artifact, path.parent, signature, Settings(threads=threads or 1))
    except Exception as error:
        raise MalformedError(f"ONNX Runtime can't open the model: {error}", where=str(path)) from error
    return ShippedModel(bundle, bundle.manifest.shipped[0], session, [NOTE])


def signature_of(contents: onnx.Contents) -> Signature:
    """The call that a bare graph offers: its inputs by position; its output, or a tuple of them."""
    leaves = tuple(Leaf(place) for place in range(len(contents.outputs)))
    return Signature(
        inputs=tuple(contents.inputs),
        outputs=tuple(contents.outputs),
        dims=contents.dims,
        call=tuple(Parameter(spec.name, Leaf(place)) for place, spec in enumerate(contents.inputs)),
        result=leaves[0] if len(leaves) == 1 else Sequence("tuple", leaves),
    )


def bare_bundle(path: Path, artifact: Artifact, signature: Signature) -> Bundle:
    """Say of a bare file what a manifest says of a bundle, as far as it goes."""
    manifest = Manifest(
        schema=SCHEMA, name=path.stem, signature=signature, chosen=artifact.name,
        shipped=(Shipped(artifact, Verdict(False, 0.0, 0.0), path.stat().st_size, "unverified"),),
        rows=(), origin=Origin(path.name, "", 0, ""), files=(),
    )  # fmt: skip
    return Bundle(path.parent, manifest, Measurements("", {}, ()))
