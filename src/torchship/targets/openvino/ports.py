"""Gives a converted model the signature's names, sizes and element types: the frontends keep their own."""

from __future__ import annotations

from typing import Any

from torchship.errors import ConversionError
from torchship.signature import BFLOAT16, Signature, TensorSpec
from torchship.targets.openvino.library import library

_TYPES = {
    "bool": "boolean", "uint8": "u8", "uint16": "u16", "uint32": "u32", "uint64": "u64", "int8": "i8", "int16": "i16",
    "int32": "i32", "int64": "i64", "float16": "f16", "float32": "f32", BFLOAT16: "f32",
}  # fmt: skip


def dress(model: Any, signature: Signature) -> Any:
    """Make ``model``'s inputs and outputs those of ``signature``; sizes are as it declares them, static or dynamic.

    Raises:
        ConversionError: the converter lost an input or an output.
    """
    places = _places(model, signature)
    _check_count("outputs", len(model.outputs), len(signature.outputs))
    openvino = library()
    model.reshape({place: openvino.PartialShape(_shape(spec)) for place, spec in places.items()})
    return _named(_typed(model, places, signature), places, signature)


def _places(model: Any, signature: Signature) -> dict[int, TensorSpec]:
    """What each of the model's inputs is, by name where they bear the signature's, else by place.

    An exporter may have dropped one that the graph doesn't use.
    """
    known = {spec.name: spec for spec in signature.inputs}
    names = [sorted(port.get_names() & known.keys()) for port in model.inputs]
    if all(names):
        return {place: known[found[0]] for place, found in enumerate(names)}
    _check_count("inputs", len(model.inputs), len(signature.inputs))
    return dict(enumerate(signature.inputs))


def _check_count(what: str, have: int, want: int) -> None:
    if have != want:
        raise ConversionError(f"the converted model has {have} {what}, the signature {want}")


def _shape(spec: TensorSpec) -> list[int]:
    return [size if isinstance(size, int) else -1 for size in spec.shape]


def _typed(model: Any, places: dict[int, TensorSpec], signature: Signature) -> Any:
    """Put conversions at both ends, so that arrays are of the types that numpy carries."""
    library()
    from openvino import Type
    from openvino.preprocess import PrePostProcessor

    ends = PrePostProcessor(model)
    for place, spec in places.items():
        ends.input(place).tensor().set_element_type(getattr(Type, _TYPES[spec.dtype]))
    for place, spec in enumerate(signature.outputs):
        ends.output(place).tensor().set_element_type(getattr(Type, _TYPES[spec.dtype]))
    return ends.build()


def _named(model: Any, places: dict[int, TensorSpec], signature: Signature) -> Any:
    """Name the tensors, and the inputs' nodes: an input that is an output too has one tensor, named as the output."""
    for place, spec in places.items():
        model.inputs[place].get_tensor().set_names({spec.name})
        model.inputs[place].node.set_friendly_name(spec.name)
    for place, spec in enumerate(signature.outputs):
        model.outputs[place].get_tensor().set_names({spec.name})
    return model
