"""LSTM, GRU and RNN over a length that stays open: torch.export unrolls them, and so fixes the length to the example's.

While a model is exported, torch's own recurrent kernels are replaced by ``torch._higher_order_ops.scan`` wherever the
length is a symbol: the same equations (those in the docstrings of ``torch.nn.LSTM``, ``GRU`` and ``RNN``), one step
after the other, with what depends on the input alone computed for all steps at once. A packed sequence stays padded
meanwhile, and remembers its lengths: a state moves on only where its sequence isn't over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.modules import rnn
from torch.nn.utils import rnn as packing

State = list[Tensor]
_check: Callable[[Any], None] = torch._check


@dataclass(frozen=True)
class Weights:
    """Of one layer in one direction; ``projection`` is an LSTM's ``weight_hr``."""

    of_input: Tensor
    of_state: Tensor
    input_bias: Tensor | None = None
    state_bias: Tensor | None = None
    projection: Tensor | None = None


Step = Callable[[State, Tensor, Weights], State]  # the new state; its first tensor is what the layer gives


def _lstm(state: State, given: Tensor, weights: Weights) -> State:
    hidden, cell = state
    gates = given + functional.linear(hidden, weights.of_state, weights.state_bias)
    enter, forget, new, out = gates.chunk(4, -1)
    cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
    hidden = out.sigmoid() * cell.tanh()
    return [hidden if weights.projection is None else functional.linear(hidden, weights.projection), cell]


def _gru(state: State, given: Tensor, weights: Weights) -> State:
    (hidden,) = state
    given_reset, given_update, given_new = given.chunk(3, -1)
    reset, update, new = functional.linear(hidden, weights.of_state, weights.state_bias).chunk(3, -1)
    kept = (given_update + update).sigmoid()
    fresh = (given_new + (given_reset + reset).sigmoid() * new).tanh()
    return [fresh + kept * (hidden - fresh)]


def _rnn(activation: Callable[[Tensor], Tensor]) -> Step:
    def step(state: State, given: Tensor, weights: Weights) -> State:
        return [activation(given + functional.linear(state[0], weights.of_state, weights.state_bias))]

    return step


STEPS: dict[str, Step] = {
    "lstm": _lstm, "gru": _gru, "rnn_tanh": _rnn(torch.tanh), "rnn_relu": _rnn(torch.relu),
}  # fmt: skip


@contextmanager
def open_lengths() -> Iterator[None]:
    """Within, recurrent layers keep the length of what they are given open, where it is a symbol."""
    kernels = rnn._VF  # type: ignore[attr-defined]
    with (
        patch.object(rnn, "_VF", _Kernels(kernels)),
        patch.object(packing, "_VF", _Kernels(kernels)),
        patch.object(rnn, "int", torch.sym_int, create=True),  # of the size of a packed batch
    ):
        yield


class _Kernels:
    """Stands for ``torch._VF`` in the modules that define the layers, and packed sequences."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        if name in _PACKING:
            return _PACKING[name](real)
        return _opening(real, STEPS[name]) if name in STEPS else real


@dataclass(frozen=True)
class Lengths:
    """Stands for the ``batch_sizes`` of a packed sequence that stays padded: ``time * batch`` rows, longest first."""

    lengths: Tensor
    time: Any
    batch: Any
    device: torch.device

    def __getitem__(self, step: int) -> Any:
        """How many sequences there are at the first step: all."""
        if step != 0:
            raise NotImplementedError("how many sequences a step has isn't known")
        return self.batch

    def size(self, _axis: int) -> Longest:
        """The longest length, which isn't known."""
        return Longest()

    def alive(self) -> Tensor:
        """Which sequences aren't over yet, at each step: ``[time, batch, 1]``."""
        return (torch.arange(self.time).unsqueeze(1) < self.lengths).unsqueeze(2)


class Longest:
    """The length of the longest sequence; no total length is taken to be shorter."""

    def __gt__(self, _total: Any) -> bool:
        return False


def _symbols(over: Tensor) -> tuple[Any, Any]:
    return over.shape[0], over.shape[1]


def _pack(real: Any) -> Any:
    def call(given: Tensor, lengths: Tensor, batch_first: bool) -> Any:
        over = given.transpose(0, 1) if batch_first else given
        time, batch = _symbols(over)
        if not isinstance(time, torch.SymInt) and not isinstance(batch, torch.SymInt):
            return real(given, lengths, batch_first)
        return _rows(over), Lengths(lengths, time, batch, torch.device("cpu"))

    return call


def _pad(real: Any) -> Any:
    def call(rows: Tensor, sizes: Any, batch_first: bool, value: float, total: Any) -> Any:
        if not isinstance(sizes, Lengths):
            return real(rows, sizes, batch_first, value, total)
        over = torch.where(sizes.alive(), _padded(rows, sizes), value)
        if isinstance(total, Longest):
            longest: Any = sizes.lengths.max().item()
            _check(longest >= 1)
            _check(longest <= sizes.time)
            over = over.narrow(0, 0, longest)
        else:
            over = functional.pad(over, (0, 0, 0, 0, 0, total - sizes.time), value=value)
        return over.transpose(0, 1) if batch_first else over, sizes.lengths

    return call


_PACKING: dict[str, Callable[[Any], Any]] = {"_pack_padded_sequence": _pack, "_pad_packed_sequence": _pad}


def _opening(real: Any, step: Step) -> Any:
    def call(given: Any, state: Any, flat: Any, *rest: Any) -> Any:
        """As torch's kernel: ``rest`` is has_biases, layers, dropout, train, bidirectional, batch_first."""
        if isinstance(state, Lengths):
            return _packed(given, state, flat, rest, step)
        if len(rest) != 6 or not isinstance(flat, list):
            return real(given, state, flat, *rest)
        biases, layers, dropout, train, both, batch_first = rest
        length = given.shape[1 if batch_first else 0]
        if not isinstance(length, torch.SymInt) or (train and dropout):
            return real(given, state, flat, *rest)
        over = given.transpose(0, 1) if batch_first else given
        weights = _grouped(flat, biases, layers * (2 if both else 1))
        answer, ends = _layers(over, _states(state), weights, both, step)
        return (answer.transpose(0, 1) if batch_first else answer, *ends)

    return call


def _packed(rows: Tensor, sizes: Lengths, state: Any, rest: Sequence[Any], step: Step) -> Any:
    """As torch's kernel for packed sequences: ``rest`` begins with the weights, and has no batch_first."""
    flat, biases, layers, dropout, train, both = rest
    if train and dropout:
        raise NotImplementedError("dropout between the layers of a packed sequence")
    over = _padded(rows, sizes)
    weights = _grouped(flat, biases, layers * (2 if both else 1))
    answer, ends = _layers(over, _states(state), weights, both, step, sizes.alive())
    return (_rows(answer), *ends)


def _padded(rows: Tensor, sizes: Lengths) -> Tensor:
    return rows.reshape(sizes.time, sizes.batch, -1)


def _rows(over: Tensor) -> Tensor:
    """Copied first: whether a view would do would be asked of the sizes."""
    return over.clone(memory_format=torch.contiguous_format).flatten(0, 1)


def _states(state: Any) -> State:
    return list(state) if isinstance(state, (tuple, list)) else [state]


def _grouped(flat: Sequence[Tensor], biases: bool, count: int) -> list[Weights]:
    size = len(flat) // count
    return [_weights(flat[place * size : (place + 1) * size], biases) for place in range(count)]


def _weights(given: Sequence[Tensor], biases: bool) -> Weights:
    if biases:
        return Weights(*given)
    return Weights(given[0], given[1], projection=given[2] if len(given) > 2 else None)


def _layers(
    over: Tensor, states: State, weights: Sequence[Weights], both: bool, step: Step, alive: Tensor | None = None
) -> tuple[Tensor, list[Tensor]]:
    ends: list[State] = []
    directions = 2 if both else 1
    for first in range(0, len(weights), directions):
        answers = []
        for place in range(first, first + directions):
            start = [each[place] for each in states]
            answer, end = _scanned(over, start, weights[place], place > first, step, alive)
            answers.append(answer)
            ends.append(end)
        over = torch.cat(answers, -1) if both else answers[0]
    return over, [torch.stack(each) for each in zip(*ends, strict=True)]


def _scanned(
    over: Tensor, start: State, weights: Weights, reverse: bool, step: Step, alive: Tensor | None
) -> tuple[Tensor, State]:
    from torch._higher_order_ops.scan import scan

    batch = over.shape[1]

    def once(before: State, given: list[Tensor]) -> tuple[State, Tensor]:
        # the batch's size must be seen in here: Inductor asks the scan for the symbols of its results
        before = [each.reshape(batch, each.shape[-1]) for each in before]
        state = step(before, given[0], weights)
        if len(given) > 1:
            state = [torch.where(given[1], new, old) for new, old in zip(state, before, strict=True)]
        return [each.clone() for each in state], state[0].clone()

    projected = functional.linear(over, weights.of_input, weights.input_bias)
    given = [projected] if alive is None else [projected, alive]
    end, answers = scan(once, [each.clone() for each in start], given, dim=0, reverse=reverse)
    return answers, end
