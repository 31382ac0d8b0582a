"""Lists become arrays where nothing of them is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchship.errors import InputError
from torchship.runtime.lossless import array_for
from torchship.signature import TensorSpec


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("float32", [0.1, 2]), ("float32", [1, 2]), ("float64", [0.1]), ("int64", [1, -2]), ("uint8", [0, 255]),
        ("bool", [True, False]), ("int64", [1.0, 2.0]), ("float16", [0.5]), ("complex64", [1 + 2j]), ("int8", []),
        ("float32", [float("inf")]), ("bfloat16", [0.1]),
    ],
)  # fmt: skip
def test_what_fits_keeps_its_values(dtype: str, value: list[Any]) -> None:
    array = array_for(TensorSpec("x", dtype, ("n",)), value)
    wanted = np.dtype("float32" if dtype == "bfloat16" else dtype)
    assert array.dtype == wanted
    assert array.tolist() == np.array(value, wanted).tolist()


@pytest.mark.parametrize(
    ("dtype", "value", "why"),
    [
        ("uint8", [256], "can't hold 256"), ("uint8", [-1], "can't hold -1"), ("int64", [1.5], "can't hold 1.5"),
        ("float32", [1e39], r"can't hold 1e\+39"), ("float16", [70000], "can't hold 70000"),
        ("float32", [2**24 + 1], "can't hold 16777217"), ("bool", [0, 1], "the lists hold whole numbers"),
        ("float32", [True], "the lists hold truth values"), ("float32", ["a"], "the lists hold text"),
        ("float32", [None], "the lists hold objects"), ("int64", [2**70], "the lists hold objects"),
        ("int64", [float("nan")], "can't hold nan"), ("float32", {"a": 1}, "the lists hold objects"),
        ("int64", [1j], "the lists hold complex128"),
    ],
)  # fmt: skip
def test_what_would_be_lost_is_refused(dtype: str, value: Any, why: str) -> None:
    with pytest.raises(InputError, match=why):
        array_for(TensorSpec("x", dtype, ("n",)), value)


def test_an_array_keeps_its_type() -> None:
    assert array_for(TensorSpec("x", "float32", ("n",)), np.zeros(2, np.int8)).dtype == np.int8


_TYPES = st.sampled_from(["uint8", "int8", "int32", "int64", "uint64", "float32", "float64"])


@given(st.lists(st.integers(-(2**64), 2**64), min_size=1, max_size=4), _TYPES)
def test_whole_numbers_arrive_or_are_refused(numbers: list[int], dtype: str) -> None:
    try:
        array = array_for(TensorSpec("x", dtype, ("n",)), numbers)
    except InputError:
        return
    if np.asarray(numbers).dtype.kind == "f":  # numpy makes fractions of a list that fits no whole type
        numbers = np.asarray(numbers).astype(dtype).tolist()
    assert [int(number) for number in array.tolist()] == [int(number) for number in numbers]
