"""Runs the model as it is: in its own precision, in float64, and against itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from torchship.errors import SourceError
from torchship.models.flat import FlatModule, result_tree
from torchship.models.openers.python import user_line
from torchship.signature import Tree

Array = npt.NDArray[Any]

_NUDGES = 3
_MOST = 0.5  # of an output's elements: where more are nobody's, all are
_SHAKE = 32  # units in the last place: enough to tell equal values from each other behind a few layers


def call(flat: FlatModule, inputs: Sequence[Tensor]) -> tuple[Tree, list[Tensor], list[str]]:
    """Run once on copies of ``inputs``; give the result's tree, tensors, and their paths.

    Raises:
        SourceError: the model raised; says its own last line and place.
    """
    try:
        with torch.inference_mode(False), torch.no_grad():
            return result_tree(flat.call(tuple(tensor.clone() for tensor in inputs)))
    except SystemExit as error:
        raise SourceError(f"the model's forward called exit({error.code})", where=user_line(error)) from error
    except SourceError:
        raise
    except Exception as error:
        raise SourceError(
            f"the model raises on its example inputs: {type(error).__name__}: {error}",
            where=user_line(error),
            hint="run model(*args) yourself: shapes, dtypes and ranges of the example must fit",
        ) from error


def run(flat: FlatModule, inputs: Sequence[Tensor]) -> list[Array]:
    """Run once and give arrays."""
    return [as_array(tensor) for tensor in call(flat, inputs)[1]]


def as_array(tensor: Tensor) -> Array:
    """A tensor as numpy carries it: bfloat16 as float32, sparse ones filled in."""
    tensor = tensor.detach().cpu()
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    if tensor.dtype is torch.bfloat16:
        tensor = tensor.float()
    return np.asarray(tensor.resolve_conj().resolve_neg().numpy(), order="C")


def weights(flat: FlatModule) -> dict[str, Tensor]:
    """The tensors of a state_dict; layers that were quantised keep other things there too."""
    return {name: value for name, value in flat.state_dict().items() if isinstance(value, Tensor)}


class Exact:
    """The model in float64, in place: a second copy would take two and a half times the memory.

    Where the model refuses float64 (a kernel lacks it), ``run`` gives None, and ``nudged`` tells its rounding error.
    """

    def __init__(self, flat: FlatModule) -> None:
        self._flat = flat
        self._flat.double()

    def run(self, inputs: Sequence[Tensor]) -> list[Array] | None:
        """Answer in float64; None where the model can't."""
        try:
            with torch.no_grad(), Widened():
                answers = result_tree(self._flat.call(tuple(widened(tensor.clone()) for tensor in inputs)))[1]
        except Exception:  # noqa: BLE001 - whatever a model without float64 raises: the caller has another yardstick
            return None
        arrays = [as_array(tensor) for tensor in answers]
        return None if any(array.dtype in (np.float16, np.float32, np.complex64) for array in arrays) else arrays


def widened(tensor: Tensor) -> Tensor:
    """A tensor in the widest type of its kind."""
    if tensor.is_floating_point():
        return tensor.double()
    return tensor.to(torch.complex128) if tensor.is_complex() else tensor


_WIDE = {
    torch.float16: torch.float64, torch.bfloat16: torch.float64, torch.float32: torch.float64,
    torch.complex64: torch.complex128,
}  # fmt: skip
_NARROWING = {torch.Tensor.float, torch.Tensor.half, torch.Tensor.bfloat16}


class Widened(TorchFunctionMode):
    """Makes a model that asks for float32 by name (``.float()``, ``dtype=torch.float32``) get float64 instead."""

    def __enter__(self) -> Widened:
        self._default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        super().__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        torch.set_default_dtype(self._default)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call ``function`` with every narrow floating type replaced."""
        if function in _NARROWING:
            return args[0].double()
        wide = {
            key: _WIDE.get(value, value) if isinstance(value, torch.dtype) else value
            for key, value in (kwargs or {}).items()
        }
        return function(*(_WIDE.get(each, each) if isinstance(each, torch.dtype) else each for each in args), **wide)


def nudged(flat: FlatModule, inputs: Sequence[Tensor], eager: Sequence[Array]) -> list[Array]:
    """A stand-in for the float64 answer: eager's own, moved by the spread that half a unit in the last place makes.

    Inputs and weights are nudged a few times; the greatest move of each element, added to eager's answer, makes the
    judge see as much noise as the model really has.
    """
    generator = torch.Generator().manual_seed(11)
    spread = [np.zeros(array.shape) for array in eager]
    kept = {name: value.clone() for name, value in weights(flat).items()}
    for _ in range(_NUDGES):
        with torch.no_grad():
            for value in weights(flat).values():
                value.copy_(_nudge(value, generator))
        moved = run(flat, [_nudge(tensor, generator) for tensor in inputs])
        with torch.no_grad():
            for name, value in weights(flat).items():
                value.copy_(kept[name])
        for place, (before, after) in enumerate(zip(eager, moved, strict=True)):
            if before.shape == after.shape and before.dtype.kind in "fc":
                spread[place] = np.maximum(spread[place], np.nan_to_num(np.abs(after - before), posinf=0.0))
    return [
        array.astype(np.complex128 if array.dtype.kind == "c" else np.float64) + move
        if array.dtype.kind in "fc"
        else array
        for array, move in zip(eager, spread, strict=True)
    ]


def sensitivity(
    flat: FlatModule, inputs: Sequence[Tensor], answer: Sequence[Array], usual: Sequence[Tensor]
) -> list[Array]:
    """How far each element of ``answer`` moves when the inputs move by some units in the last place of usual ones."""
    generator = torch.Generator().manual_seed(13)
    moves = [np.zeros(array.shape) for array in answer]
    for _ in range(_NUDGES):
        moved = run(flat, [_shaken(each, like, generator) for each, like in zip(inputs, usual, strict=True)])
        for place, (before, after) in enumerate(zip(answer, moved, strict=True)):
            if before.shape == after.shape and before.dtype.kind in "fc":
                with np.errstate(invalid="ignore"):  # an infinity less itself
                    moves[place] = np.maximum(moves[place], np.nan_to_num(np.abs(after - before), posinf=0.0))
            elif before.shape == after.shape:  # which of several equal ones comes first
                moves[place] = np.maximum(moves[place], before != after)
    return moves


def noisier(
    answer: Sequence[Array], true: Sequence[Array], moves: Sequence[Array], usual: Sequence[Array]
) -> list[Array]:
    """``true``, but where the input's own rounding moves an output further: then that move is the yardstick.

    What it moves by more than rounding explains (which of several equal scores comes first) is nobody's: ``true`` is
    told to be infinite there, and a whole number to be another than eager's. ``usual`` is an answer to usual inputs.
    """
    return [_noisier(*each) for each in zip(answer, true, moves, usual, strict=True)]


def _noisier(eager: Array, true: Array, move: Array, usual: Array) -> Array:
    if eager.shape != true.shape or not move.any():
        return true
    if eager.dtype.kind in "fc":
        scale = max(np.abs(each[np.isfinite(each)]).max(initial=0.0) for each in (eager, usual))
        bound = np.sqrt(np.finfo(eager.dtype).eps) * scale
        if move.max() <= min(_apart(eager, true), bound):
            return true
        turned = move > bound
        if turned.mean() > _MOST:  # rounding is all that is left: an element that stayed did so by chance
            return np.full(true.shape, np.inf)
        return np.where(turned, np.inf, np.where(np.abs(eager - true) > move, true, eager + move))
    return np.where(move > 0, nobodys(eager), true)


def nobodys(eager: Array) -> Any:
    """What marks an answer as nobody's in its exact twin: an infinity, or a whole number that is another."""
    if eager.dtype.kind in "fc":
        return np.inf
    return ~eager if eager.dtype.kind == "b" else eager ^ 1


def _apart(one: Array, other: Array) -> float:
    with np.errstate(invalid="ignore"):
        return float(np.nan_to_num(np.abs(one - other), posinf=0.0).max(initial=0.0))


def _nudge(tensor: Tensor, generator: torch.Generator) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    sign = torch.randint(0, 2, tensor.shape, generator=generator) * 2 - 1
    return (tensor * (1 + sign * torch.finfo(tensor.dtype).eps / 2)).to(tensor.dtype)


def _shaken(tensor: Tensor, like: Tensor, generator: torch.Generator) -> Tensor:
    """``tensor`` with a rounding error of the size that ``like`` has."""
    if not tensor.is_floating_point() or not like.numel():
        return tensor
    unit = _SHAKE * torch.finfo(tensor.dtype).eps * float(like.abs().nan_to_num(posinf=0.0).max())
    return (tensor + unit * (torch.rand(tensor.shape, generator=generator) * 2 - 1)).to(tensor.dtype)
