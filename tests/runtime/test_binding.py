"""Calls come in the structure that the eager model takes, and are told what doesn't fit."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchship.errors import InputError
from torchship.runtime.binding import Binding
from torchship.signature import Constant, Dim, Leaf, Mapping, Parameter, Record, Sequence, Signature, TensorSpec

_NESTED = Signature(
    inputs=(
        TensorSpec("x", "float32", ("batch", 2)),
        TensorSpec("options.mask", "bool", ("batch",)),
        TensorSpec("pair.0", "int64", (3,)),
        TensorSpec("pair.1", "float32", ()),
    ),
    outputs=(TensorSpec("y", "float32", ("batch",)), TensorSpec("z", "int64", ())),
    dims=(Dim("batch", 1, 8),),
    call=(
        Parameter("x", Leaf(0)),
        Parameter("options", Mapping(("mask", "steps"), (Leaf(1), Constant(3)))),
        Parameter("pair", Sequence("tuple", (Leaf(2), Leaf(3))), "keyword"),
        Parameter("scale", Constant(2.0), "keyword"),
    ),
    result=Record("Answer", ("y", "more"), (Leaf(0), Sequence("list", (Leaf(1), Constant(None))))),
)
_X = np.ones((4, 2), np.float32)
_MASK = np.array([True, False, True, True])
_PAIR = (np.array([1, 2, 3]), np.float32(0.5))


def _bind(*args: Any, **kwargs: Any) -> list[Any]:
    return [array.tolist() for array in Binding(_NESTED).bind(args, kwargs)]


def test_the_structure_is_taken_apart() -> None:
    flat = [_X.tolist(), _MASK.tolist(), [1, 2, 3], 0.5]
    assert _bind(_X, {"mask": _MASK, "steps": 3}, pair=_PAIR) == flat
    assert _bind(_X, {"mask": _MASK}, pair=list(_PAIR), scale=2.0) == flat  # constants may be left out or given equal
    assert _bind(options={"mask": _MASK}, x=_X, pair=_PAIR) == flat
    assert _bind(_X.tolist(), {"mask": _MASK.tolist()}, pair=([1, 2, 3], 0.5)) == flat


def test_a_record_or_an_object_stands_for_a_mapping() -> None:
    options = namedtuple("Options", ["mask", "steps"])(_MASK, 3)
    assert _bind(_X, options, pair=_PAIR)[1] == _MASK.tolist()


def test_the_result_has_the_structure_of_the_eager_one_without_its_classes() -> None:
    answer = Binding(_NESTED).result([np.array([1.0]), np.array(7)])
    assert type(answer).__name__ == "Answer"
    assert (answer.y.tolist(), answer.more[0].tolist(), answer.more[1]) == ([1.0], 7, None)


_GOOD: dict[str, Any] = {"x": _X, "options": {"mask": _MASK}, "pair": _PAIR}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"x": None}, "the argument x is missing"),
        ({"other": 1}, "unknown argument other"),
        ({"scale": 3.0}, r"scale is 3.0, the model was captured with 2.0, which can't be changed any more"),
        ({"scale": 2}, "scale is 2, the model was captured with 2.0"),
        ({"options": {"mask": _MASK, "steps": 4}}, "options.steps is 4, the model was captured with 3"),
        ({"options": {"steps": 3}}, "options lacks 'mask'"),
        ({"options": {"mask": _MASK, "more": 1}}, "options has an unknown key 'more'"),
        ({"options": 5}, "options lacks 'mask'"),
        ({"pair": (_PAIR[0],)}, "pair must be a list or tuple of 2, it is a tuple of 1"),
        ({"pair": _X}, "pair must be a list or tuple of 2, it is a ndarray"),
        ({"x": _X.astype(np.float64)}, "input x is float64, the model takes float32"),
        ({"x": _X[0]}, "it has 1 axes instead of 2"),
        ({"x": _X[:, :1]}, "axis 1 is 1 instead of 2"),
        ({"x": np.ones((9, 2), np.float32)}, r"batch \(axis 0\) is 9, allowed is 1 to 8"),
        ({"x": np.ones((0, 2), np.float32)}, r"batch \(axis 0\) is 0, allowed is 1 to 8"),
        ({"x": _X[:3]}, r"batch \(axis 0\) is 4 here and 3 in an input before"),
        ({"x": [[1.0, 2.0], [3.0]]}, "its lists have different lengths"),
        ({"x": "text"}, "the lists hold text"),
        ({"pair": ([1, 2, 3.5], 0.5)}, "takes int64, which can't hold 1.0|takes int64, which can't hold 3.5"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], why: str) -> None:
    given_now = {name: value for name, value in (_GOOD | changes).items() if value is not None}
    with pytest.raises(InputError, match=why):
        _bind(**given_now)


def test_positional_arguments_are_counted_and_given_once() -> None:
    with pytest.raises(InputError, match="3 positional arguments were given, the model takes 2"):
        _bind(_X, {"mask": _MASK}, _PAIR)
    with pytest.raises(InputError, match="the argument x was given twice"):
        _bind(_X, x=_X, options={"mask": _MASK}, pair=_PAIR)


_LONE = Signature(
    (TensorSpec("x", "float32", ("batch", 2)),),
    (TensorSpec("y", "float32", ("batch", 2)),),
    (Dim("batch"),),
    (Parameter("x", Leaf(0)),),
    Leaf(0),
)


def test_a_fitting_array_is_passed_on_as_it_is() -> None:
    assert Binding(_LONE).bind((_X,), {})[0] is _X
    assert Binding(_LONE).result([_X]) is _X


@pytest.mark.parametrize("array", [np.asfortranarray(_X), _X[::2], _X.astype(">f4"), np.broadcast_to(_X[0], (3, 2))])
def test_arrays_of_another_layout_arrive_contiguous_and_in_the_machines_order(array: np.ndarray[Any, Any]) -> None:
    (got,) = Binding(_LONE).bind((array,), {})
    assert got.tolist() == array.tolist()
    assert got.flags.c_contiguous
    assert got.dtype == np.dtype(np.float32)


@given(st.lists(st.integers(0, 5), max_size=4), st.sampled_from(["float32", "float64", "int64", "uint8", "bool"]))
def test_the_quick_check_agrees_with_the_slow_one(shape: list[int], dtype: str) -> None:
    """Arrays that aren't contiguous take the slow way; contiguous ones, of the same type and shape, the quick one."""
    array = np.zeros(shape, dtype)
    binding = Binding(_LONE)
    assert _outcome(binding.check, array) == _outcome(binding._check_slowly, array)


def _outcome(check: Callable[[list[Any]], list[Any]], array: np.ndarray[Any, Any]) -> object:
    try:
        return check([array])[0].shape
    except InputError as error:
        return str(error)
