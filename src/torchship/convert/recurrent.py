"""LSTM, GRU and RNN over a length that stays open: torch.export unrolls them, and so fixes the length to the example's.

While a model is exported, torch's own recurrent kernels are replaced by ``torch._higher_order_ops.scan`` wherever the
length is a symbol: the same equations (those in the docstrings of ``torch.nn.LSTM``, ``GRU`` and ``RNN``), one step
after the other, with what depends on the input alone computed for all steps at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.modules import rnn

State = list[Tensor]


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
    rnn._VF = _Kernels(kernels)  # type: ignore[attr-defined, assignment]
    try:
        yield
    finally:
        rnn._VF = kernels  # type: ignore[attr-defined]


class _Kernels:
    """Stands for ``torch._VF`` in the module that defines the layers."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        return _opening(real, STEPS[name]) if name in STEPS else real


def _opening(real: Any, step: Step) -> Any:
    def call(given: Any, state: Any, flat: Any, *rest: Any) -> Any:
        """As torch's kernel: ``rest`` is has_biases, layers, dropout, train, bidirectional, batch_first."""
        if len(rest) != 6 or not isinstance(flat, list):
            return real(given, state, flat, *rest)
        biases, layers, dropout, train, both, batch_first = rest
        length = given.shape[1 if batch_first else 0]
        if not isinstance(length, torch.SymInt) or (train and dropout):
            return real(given, state, flat, *rest)
        states = list(state) if isinstance(state, (tuple, list)) else [state]
        over = given.transpose(0, 1) if batch_first else given
        answer, ends = _layers(over, states, _grouped(flat, biases, layers * (2 if both else 1)), both, step)
        return (answer.transpose(0, 1) if batch_first else answer, *ends)

    return call


def _grouped(flat: Sequence[Tensor], biases: bool, count: int) -> list[Weights]:
    size = len(flat) // count
    return [_weights(flat[place * size : (place + 1) * size], biases) for place in range(count)]


def _weights(given: Sequence[Tensor], biases: bool) -> Weights:
    if biases:
        return Weights(*given)
    return Weights(given[0], given[1], projection=given[2] if len(given) > 2 else None)


def _layers(
    over: Tensor, states: State, weights: Sequence[Weights], both: bool, step: Step
) -> tuple[Tensor, list[Tensor]]:
    ends: list[State] = []
    directions = 2 if both else 1
    for first in range(0, len(weights), directions):
        answers = []
        for place in range(first, first + directions):
            start = [each[place] for each in states]
            answer, end = _scanned(over, start, weights[place], reverse=place > first, step=step)
            answers.append(answer)
            ends.append(end)
        over = torch.cat(answers, -1) if both else answers[0]
    return over, [torch.stack(each) for each in zip(*ends, strict=True)]


def _scanned(over: Tensor, start: State, weights: Weights, *, reverse: bool, step: Step) -> tuple[Tensor, State]:
    from torch._higher_order_ops.scan import scan

    batch = over.shape[1]

    def once(state: State, given: Tensor) -> tuple[State, Tensor]:
        # the batch's size must be seen in here: Inductor asks the scan for the symbols of its results
        state = step([each.reshape(batch, each.shape[-1]) for each in state], given, weights)
        return [each.clone() for each in state], state[0].clone()

    projected = functional.linear(over, weights.of_input, weights.input_bias)
    end, answers = scan(once, [each.clone() for each in start], projected, dim=0, reverse=reverse)
    return answers, end
