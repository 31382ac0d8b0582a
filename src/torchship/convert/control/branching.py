"""``if``, ``assert`` and the tests of both: plain Python where the way is known, else ``torch.cond``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor, nn
from torch.fx.experimental.symbolic_shapes import statically_known_true

State = tuple[Any, ...]
_not: Callable[[Any], Any] = torch.sym_not


class _Unset:
    """Stands for a name that isn't bound yet."""


UNSET = _Unset()


def value(get: Callable[[], Any]) -> Any:
    """A name's value, or that it has none yet."""
    try:
        return get()
    except NameError:
        return UNSET


def open_(test: Any) -> bool:
    """Whether ``test`` isn't known while the graph is made."""
    if isinstance(test, (Tensor, torch.SymBool, torch.SymInt, torch.SymFloat)):
        return True
    # within a part of the graph a size's test is a bool for isinstance, but neither True nor False
    return torch.compiler.is_dynamo_compiling() and isinstance(test, bool) and test is not True and test is not False


def branch(
    test: Any, then: Callable[..., State], other: Callable[..., State], state: State = (), seen: State = ()
) -> State:
    """An ``if``: gives the names that either way binds. It changes the names of ``state``, and reads ``seen``."""
    return choose(test, then, other, state, seen)  # type: ignore[no-any-return]


def choose(test: Any, then: Callable[..., Any], other: Callable[..., Any], state: State = (), seen: State = ()) -> Any:
    """An ``if`` of which both ways return, or an ``a if test else b``."""
    test = _decided(test)
    if not open_(test):
        return then(*state, *seen) if test else other(*state, *seen)
    state, seen = copied(state), apart(seen)
    return torch.cond(
        _truth(test), lambda: copied(then(*copied(state), *seen)), lambda: copied(other(*copied(state), *seen))
    )


def apart(seen: State) -> State:
    """With copies of the tensors that may share their memory with others."""
    return pytree.tree_map(  # type: ignore[no-any-return]
        lambda leaf: leaf.clone() if isinstance(leaf, Tensor) and not isinstance(leaf, nn.Parameter) else leaf, seen
    )


def _decided(test: Any) -> Any:
    """A size's test that holds for all sizes, or for none, is decided; within a part of the graph, nothing is."""
    if isinstance(test, torch.SymBool) and not torch.compiler.is_dynamo_compiling():
        if statically_known_true(test):
            return True
        if statically_known_true(_not(test)):
            return False
    return test


def _truth(test: Any) -> Any:
    if isinstance(test, Tensor):
        return test.reshape(()) != 0 if test.dtype is not torch.bool else test.reshape(())
    return test if isinstance(test, (bool, torch.SymBool)) else test != 0


def copied(tree: Any) -> Any:
    """With copies of the tensors, and lists of their own."""
    return pytree.tree_map(_copy, tree)


def _copy(leaf: Any) -> Any:
    """Laid out plainly: the two ways of an ``if`` must agree in that."""
    return leaf.clone(memory_format=torch.contiguous_format) if isinstance(leaf, Tensor) else leaf


def certain(test: Any) -> Any:
    """The test of an ``if`` that refuses an input: an artifact that can't tell lets it pass."""
    test = _decided(test)
    return False if open_(test) else test


def claim(test: Any, message: Callable[[], Any]) -> None:
    """An assert, of what is known."""
    test = _decided(test)
    if not open_(test):
        assert test, message()


def negated(test: Any) -> Any:
    """``not test``."""
    if isinstance(test, Tensor):
        return test.logical_not()
    return _not(test) if isinstance(test, torch.SymBool) else not test


def every(*tests: Callable[[], Any]) -> Any:
    """``a and b``."""
    return _joined(tests, ends=False)


def some(*tests: Callable[[], Any]) -> Any:
    """``a or b``."""
    return _joined(tests, ends=True)


def _both(one: Any, other: Any, *, ends: bool) -> Any:
    if isinstance(one, Tensor) != isinstance(other, Tensor):
        one, other = (each if isinstance(each, Tensor) else torch.full((), each) for each in (one, other))
    return one | other if ends else one & other


def _joined(tests: Iterable[Callable[[], Any]], *, ends: bool) -> Any:
    pending: Any = None
    found: Any = not ends
    for each in tests:
        found = _decided(each())
        if not open_(found):
            if bool(found) is ends:
                return found
            continue
        pending = _truth(found) if pending is None else _both(pending, _truth(found), ends=ends)
    return found if pending is None else pending
