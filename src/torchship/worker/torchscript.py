"""A bare TorchScript file in a bundle's place. It says neither types nor sizes, so the first input does."""

from __future__ import annotations

from pathlib import Path

from torchship.bundle.artifact import Artifact
from torchship.errors import UsageError
from torchship.formats import recognise, torchscript
from torchship.formats.pictures import is_picture
from torchship.runtime import ShippedModel
from torchship.runtime.bare import bare_bundle
from torchship.runtime.inputs import free_inputs
from torchship.signature import Dim, Leaf, Parameter, Sequence, Signature, TensorSpec
from torchship.signature.spec import Shape
from torchship.targets import Array, runner_of
from torchship.worker.remote import RemoteSession

NOTES = [
    "a bare file: there are no hashes to check, no golden samples, and nothing was proven of it",
    "it runs in a process of its own, with bounds on time and memory; files and network are not shut off from it",
]


def is_torchscript(path: Path) -> bool:
    """Whether ``path`` is a TorchScript archive by its content."""
    return path.is_file() and recognise.look(path).kind == torchscript.KIND


def load_torchscript(path: Path, first: bytes, name: str) -> ShippedModel:
    """Open a bare TorchScript file for inputs such as ``first``, which is called ``name`` in errors.

    Raises:
        UnsafeError: its code does more than compute.
        UsageError: it takes or gives something else than plain tensors.
        UnavailableError: torch isn't installed.
        WorkerError: it crashed, or took too long or too much memory.
    """
    recognise.check(path, torchscript.KIND)
    runner_of("torchscript").needs.check("a TorchScript file")
    found = recognise.look(path)
    if not found.inputs or not found.outputs:
        raise UsageError(f"{path} takes or gives something else than tensors", hint="ship it: `torchship ship`")
    arrays = free_inputs(first, [tensor.name for tensor in found.inputs], name)
    signature = _signature(arrays, [tensor.name for tensor in found.outputs], is_picture(first[:8]))
    artifact = Artifact(
        "torchscript", "torchscript", "bare", path.name, tuple(arrays), tuple(each.name for each in found.outputs)
    )
    session = RemoteSession(artifact, path.parent, signature)
    bundle = bare_bundle(path, artifact, signature)
    return ShippedModel(bundle, bundle.manifest.shipped[0], session, NOTES)


def _signature(arrays: dict[str, Array], outputs: list[str], picture: bool) -> Signature:
    """The first input's types and ranks, of any size; a picture's channels stay as they are."""
    inputs = tuple(TensorSpec(name, str(array.dtype), _shape(name, array, picture)) for name, array in arrays.items())
    leaves = tuple(Leaf(place) for place in range(len(outputs)))
    return Signature(
        inputs=inputs,
        outputs=tuple(TensorSpec(name, "float32", ()) for name in outputs),
        dims=tuple(Dim(size) for spec in inputs for size in spec.shape if isinstance(size, str)),
        call=tuple(Parameter(spec.name, Leaf(place)) for place, spec in enumerate(inputs)),
        result=leaves[0] if len(leaves) == 1 else Sequence("tuple", leaves),
    )


def _shape(name: str, array: Array, picture: bool) -> Shape:
    dims: list[int | str] = [f"{name}_{axis}" for axis in range(array.ndim)]
    if picture:
        dims[1] = array.shape[1]
    return tuple(dims)
