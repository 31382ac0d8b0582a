"""Whether what stands in a file fits the net that it names."""

from __future__ import annotations

from torch import Size, Tensor, float32, isfinite, nn

from torchship.errors import MalformedError

_MOMENTS = {"sgd": {"momentum_buffer"}, "adam": {"step", "exp_avg", "exp_avg_sq"}}


def fit(net: nn.Module, weights: object, where: str) -> None:
    """Put ``weights`` into ``net``. Raises MalformedError, naming every key that is missing, strange or misshapen."""
    if not isinstance(weights, dict):
        raise damaged(where, "has no state_dict")
    own = net.state_dict()
    misfits = {key: _misfit(value, own.get(key)) for key, value in weights.items()}
    wrong = [f"{key} is missing" for key in own if key not in weights]
    wrong += [f"{key} {misfit}" for key, misfit in misfits.items() if misfit]
    if wrong:
        raise damaged(where, f"doesn't fit the architecture {type(net).__name__.lower()}: {'; '.join(wrong)}")
    net.load_state_dict(weights)


def _misfit(value: object, own: Tensor | None) -> str:
    """What is wrong with a weight; nothing where it fits."""
    if own is None:
        return "is not of this architecture"
    if not isinstance(value, Tensor):
        return f"is a {type(value).__name__}, not a tensor"
    if value.shape != own.shape or value.dtype != own.dtype:
        return f"is {_kind(value)}, not {_kind(own)}"
    return "" if isfinite(value).all() else "holds NaN or infinity"


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"


def optimizer_state(net: nn.Module, optimizer: str, state: object, where: str) -> dict[int, dict[str, Tensor]]:
    """``state`` as it is, where ``optimizer`` can go on with it. Raises MalformedError where it can't."""
    if not isinstance(state, dict):
        raise damaged(where, "has no optimizer_state")
    parameters = list(net.parameters())
    if state and set(state) != set(range(len(parameters))):
        raise damaged(where, "has an optimizer_state of another number of parameters")
    for index, moments in state.items():
        if not isinstance(moments, dict) or set(moments) != _MOMENTS[optimizer]:
            raise damaged(where, f"has an optimizer_state for parameter {index} that is not of {optimizer}")
        for name, value in moments.items():
            shape = Size() if name == "step" else parameters[index].shape
            if not isinstance(value, Tensor) or (value.shape, value.dtype) != (shape, float32):
                raise damaged(where, f"has an optimizer_state that doesn't fit: {name} of parameter {index}")
    return state


def damaged(where: str, what: str) -> MalformedError:
    """The file ``where`` is not as it was written."""
    return MalformedError(f"{where} {what}", hint="train it again: the file is damaged or was changed")
