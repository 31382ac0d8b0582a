"""What a source says of itself and what its model does: where the two can't both be true, the user hears it at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from torchship.errors import UsageError
from torchship.models.model import Axes, Model
from torchship.signature import Dim, Signature

_NOWHERE = "meta"


def check_places(module: nn.Module, examples: Sequence[tuple[str, Tensor]]) -> None:
    """Check that weights and examples hold values, and lie on one device.

    Raises:
        UsageError: names the tensor that doesn't.
    """
    weights = [*module.named_parameters(), *module.named_buffers()]
    for what, tensors in (("the weight", weights), ("the example input", examples)):
        if lost := next((name for name, tensor in tensors if tensor.device.type == _NOWHERE), None):
            raise UsageError(
                f"{what} {lost} lies on the device meta, which holds no values", hint="load the values, on cpu"
            )
    home = weights[0][1].device if weights else None
    if home is not None and (away := next((each for each in examples if each[1].device != home), None)):
        raise UsageError(
            f"the example input {away[0]} lies on {away[1].device}, the model on {home}",
            hint=f"{away[0]}.to({str(home)!r}), or model.to({str(away[1].device)!r})",
        )


def check_range(dim: Dim, size: int) -> None:
    """Check that the example's size is one that its dim may have.

    Raises:
        UsageError: it is outside of the dim's range.
    """
    if size < dim.min or (dim.max is not None and size > dim.max):
        most = "" if dim.max is None else dim.max
        raise UsageError(
            f"the example's size {dim.name} is {size}, and dynamic_shapes says {dim.min}..{most}",
            hint="give an example within the range, or widen the range",
        )


def check_sizes(
    model: Model,
    axes: Sequence[Axes],
    taken: Sequence[Mapping[str, int]],
    refused: Mapping[str, tuple[str, str | None]],
) -> dict[str, str]:
    """Give the dims that were declared free and of which no other size was taken, each with what the model said.

    ``taken``: the sizes of the calls that it answered; ``refused``: by the sizes as they are told, why it didn't, and
    where. Whole numbers and masks in the call may be what it refuses, rather than the size.

    Raises:
        UsageError: a dim can have no other size; says which line fixes it.
    """
    usual = {
        dim.name: tensor.shape[axis]
        for tensor, dims in zip(model.examples, axes, strict=True)
        for axis, dim in dims.items()
        if not dim.root
    }
    floats = all(tensor.is_floating_point() or tensor.is_complex() for tensor in model.examples)
    unproven = {}
    for name, size in usual.items():
        why = next(
            (each for told, each in refused.items() if f"{name}=" in told and f"{name}={size}" not in told), None
        )
        if why is None or any(sizes.get(name, size) != size for sizes in taken):
            continue
        if floats:
            raise UsageError(
                f"dynamic_shapes says that the size {name} may change, but the model takes {size} alone: {why[0]}",
                where=why[1],
                hint="leave that axis out of dynamic_shapes, or rewrite the line that fixes it",
            )
        unproven[name] = why[0]
    return unproven


def check_labels(labels: Sequence[str], signature: Signature) -> None:
    """Check that there are as many class names as scores, where it is plain that an output holds scores.

    Raises:
        UsageError: another number of both.
    """
    lasts = {spec.name: spec.shape[-1] for spec in signature.outputs if spec.shape and spec.dtype.startswith("float")}
    sizes = {size for size in lasts.values() if isinstance(size, int) and size > 1}
    if labels and sizes and len(labels) not in sizes and len(sizes) == len(set(lasts.values())):
        told = ", ".join(f"{name} {size}" for name, size in lasts.items())
        raise UsageError(
            f"labels has {len(labels)} class names, and the outputs hold other numbers of scores: {told}",
            hint="one name a score along the output's last axis",
        )
