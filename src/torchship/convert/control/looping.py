"""``for`` and ``while``: plain Python where the number of turns is known, else ``scan`` and ``while_loop``.

They take no tensors that are written into, and give what they were given in shape and type: each turn works on copies,
and where the first turn changes a name's kind (``total = 0`` becomes a tensor), it is done ahead of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.symbolic_shapes import statically_known_true

from torchship.convert.control.appended import Appended
from torchship.convert.control.branching import State, apart, copied, open_
from torchship.convert.control.spans import Span

Turn = Callable[..., State]
_check: Callable[[Any], None] = torch._check
_while_loop: Callable[..., Any] = torch._higher_order_ops.while_loop
_NUMBERS = (int, float, torch.SymInt, torch.SymFloat)


def loop(over: Any, part: Turn, state: State, seen: State = ()) -> State:
    """A ``for``: ``part`` takes what the loop is over, the names that it changes and those that it reads."""
    if not isinstance(over, Span):
        for each in over:
            state = part(each, *state, *seen)
        return state
    seen = apart(seen)

    def turn(each: Any, *names: Any) -> State:
        return part(each, *names, *seen)

    if not statically_known_true(over.count >= 1):
        return _perhaps_none(over, turn, state)

    def ahead() -> State:
        return copied(turn(over.at(0), *_fresh(copied(state))))  # type: ignore[no-any-return]

    if not all(isinstance(each, (Tensor, list)) for each in state):
        return _scanned(over, turn, state, ahead())
    try:
        return _scanned(over, turn, state, None)
    except Exception:  # noqa: BLE001 - the first turn gives a name another shape: it must come first
        return _scanned(over, turn, state, ahead())


def _fresh(state: State) -> State:
    """With empty lists: a turn's own."""
    return tuple([] if isinstance(each, list) else each for each in state)


def _scanned(over: Span, turn: Turn, state: State, ahead: State | None) -> State:
    """All turns by ``scan``; ``ahead`` is what the first gave, where it was done before."""
    from torch._higher_order_ops.scan import scan

    carrier = Carrier(state if ahead is None else ahead)
    early = None if ahead is None else carrier.lists(ahead)

    def once(before: list[Tensor], index: Tensor) -> tuple[list[Tensor], list[list[Tensor]]]:
        after = turn(over.at(_number(index, over.count)), *carrier.names(before))
        now, said = carrier.tensors(after), carrier.lists(after)
        if early is not None:
            now = _first(index, carrier.start, now)
            said = [_first(index, mine, theirs) for mine, theirs in zip(early, said, strict=True)]
        told = [[each.clone() for each in pieces] for pieces in said]
        return [each.clone() for each in now], told or [[index.clone()]]  # Inductor wants something of each turn

    end, said = scan(once, [each.clone() for each in carrier.start], torch.arange(over.count))
    return carrier.names(end, [Appended(*each) for each in zip(carrier.lists(state), said, strict=False)])


def _first(index: Tensor, mine: list[Tensor], theirs: list[Tensor]) -> list[Tensor]:
    return [torch.where(index == 0, one, other) for one, other in zip(mine, theirs, strict=True)]


def _number(index: Tensor, count: Any) -> Any:
    turn = index.item()
    _check(turn >= 0)
    _check(turn < count)
    return turn


def _perhaps_none(over: Span, turn: Turn, state: State) -> State:
    """A number of turns that may be 0, as ``while_loop``: what it appends to a list is like what the list held."""
    lists = [place for place, each in enumerate(state) if isinstance(each, list)]
    if any(not state[place] for place in lists):
        raise NotImplementedError("an empty list is filled by a loop that may have no turn")
    names = list(state)
    for place in lists:
        names[place] = state[place][-1].new_zeros((over.count, *state[place][-1].shape))

    def counted(index: Any, *now: Any) -> State:
        after = list(turn(over.at(index), *([] if place in lists else each for place, each in enumerate(now))))
        for place in lists:
            (piece,) = after[place]
            now[place].select(0, index).copy_(piece)
            after[place] = now[place]
        return index + 1, *after

    ends = list(repeat(lambda index, *_names: index < over.count, counted, (over.count * 0, *names))[1:])
    for place in lists:
        ends[place] = Appended(state[place], [ends[place]])
    return tuple(ends)


def repeat(test: Callable[..., Any], turn: Turn, state: State, seen: State = ()) -> State:
    """A ``while``: ``test`` and ``turn`` take the names that a turn changes and those that are read."""
    found = test(*state, *seen)
    if not open_(found):
        while found:
            state = turn(*state, *seen)
            found = test(*state, *seen)
        return state
    carrier = Carrier(state)
    seen = apart(seen)

    def goes_on(*before: Tensor) -> Any:
        return test(*carrier.names(list(before)), *seen)

    def once(*before: Tensor) -> tuple[Tensor, ...]:
        return tuple(each.clone() for each in carrier.tensors(turn(*carrier.names(list(before)), *seen)))

    end = _while_loop(goes_on, once, tuple(each.clone() for each in carrier.start))
    return carrier.names(list(end))


class Carrier:
    """The names of a loop as tensors, and back: numbers as tensors of no axes; what is neither stays as it is."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._carried = [place for place, each in enumerate(state) if isinstance(each, (Tensor, *_NUMBERS))]
        self._lists = [place for place, each in enumerate(state) if isinstance(each, list)]
        self.start = self.tensors(state)
        self._shapes = [tuple(each.shape) for each in self.start]

    def tensors(self, state: State) -> list[Tensor]:
        """Those that are carried from turn to turn; one at least, since scan wants one."""
        found = [_tensor(state[place], self._state[place]) for place in self._carried]
        return found or [torch.zeros(())]

    def lists(self, state: State) -> list[Any]:
        """Those that a turn fills."""
        return [state[place] for place in self._lists]

    def names(self, tensors: list[Tensor], lists: list[Any] | None = None) -> State:
        """Copies, with the sizes that they began with: Inductor wants to see their symbols within."""
        names = list(self._state)
        for number, place in enumerate(self._carried):
            numeric = not isinstance(self._state[place], Tensor)
            names[place] = tensors[number].item() if numeric else tensors[number].reshape(self._shapes[number]).clone()
        for number, place in enumerate(self._lists):
            names[place] = [] if lists is None else lists[number]
        return tuple(names)


def _tensor(value: Any, like: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    return torch.full((), value, dtype=torch.float32 if isinstance(like, (float, torch.SymFloat)) else torch.int64)
