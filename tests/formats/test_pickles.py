"""A pickle is read as what it says: as pickle itself reads it where it is plain, as a description where it isn't."""

from __future__ import annotations

import collections
import contextlib
import io
import os
import pickle
import time
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchship.errors import MalformedError, RefusedError, UnsafeError
from torchship.formats import checkpoints, pickles
from torchship.formats.pickles import Global, Made, Stored

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(PLAIN, st.integers(3, 5))
def test_plain_values_are_read_as_pickle_reads_them(value: Any, protocol: int) -> None:
    assert pickles.read_whole(pickle.dumps(value, protocol), "p").value == value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_call_is_described_and_not_made(protocol: int) -> None:
    found = pickles.read_whole(pickle.dumps(os.system, protocol), "p")
    assert found.value == Global("posix", "system")
    made = pickles.read_whole(pickle.dumps(complex(1, 2), protocol), "p")
    assert [str(each) for each in made.globals] == ["builtins.complex"]
    assert (made.value.maker.name, made.value.args) == ("complex", (1.0, 2.0))


def test_an_object_with_its_state_items_and_pairs() -> None:
    value = collections.OrderedDict(a=1)
    value.note = "kept"  # type: ignore[attr-defined]
    made = pickles.read_whole(pickle.dumps(value, 2), "p").value
    assert isinstance(made, Made)
    assert made.pairs == [("a", 1)]
    assert made.states == [{"note": "kept"}]


def test_numbers_outside_are_references() -> None:
    stream = io.BytesIO()
    torch.save({"w": torch.ones(2, 3)}, stream, _use_new_zipfile_serialization=False)
    found, end = None, 0
    for _ in range(4):
        found = pickles.read(stream.getvalue(), "p", end)
        end = found.end
    assert found is not None
    (stored,) = found.stored
    assert isinstance(stored, Stored)
    assert stored.key[1:2] == (Global("torch", "FloatStorage"),)
    assert stored.key[4] == 6


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "no pickle"),
        (b"\x80\x02", "no pickle"),
        (b"\x80\x02K\x01K\x02.", "leaves values behind"),
        (b"\x80\x02(K\x01.", "leaves values behind"),
        (b"\x80\x02.", "leaves values behind"),
        (b"\x80\x02h\x05.", "no pickle"),
        (b"\x80\x02K\x01\x86.", "no pickle"),
        (b"\x80\x02K\x01)R.", "calls what another call gave"),
        (b"\x80\x02c", "no pickle"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
        (b"\x80\x02K\x01}b.", "gives a state to a int"),
        (b"\x80\x02K\x01K\x02a.", "appends to a int"),
        (b"\x80\x02}K\x01.", "leaves values behind"),
    ],
)
def test_what_is_no_pickle_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        pickles.read_whole(raw, "p")


def test_something_behind_the_end_is_refused() -> None:
    with pytest.raises(UnsafeError, match="hides 3 bytes"):
        pickles.read_whole(pickle.dumps(1) + b"abc", "p")


def test_depth_is_bounded_and_a_cycle_is_no_depth() -> None:
    for opener in (b"\x85", b"\x85\x85"):
        with pytest.raises(UnsafeError, match="nested more than 500 deep"):
            pickles.read_whole(b"\x80\x02)" + opener * 100_000 + b".", "p")
    with pytest.raises(UnsafeError, match="nested more than 500 deep"):
        pickles.read_whole(b"\x80\x02" + b"]" * 2000 + b"a" * 1999 + b".", "p")
    loop: list[Any] = []
    loop.append(loop)
    value = pickles.read_whole(pickle.dumps(loop), "p").value
    assert value[0] is value


def test_shared_values_cost_no_more_than_they_are() -> None:
    """Sixty tuples of the one before twice would be 2**60 values, walked one by one."""
    raw = b"\x80\x02)" + b"q\x00h\x00\x86" * 60 + b"."
    start = time.perf_counter()
    found = pickles.read_whole(raw, "p")
    assert list(pickles.keys_in(found.value)) == []
    assert time.perf_counter() - start < 5


def test_old_names_are_read_as_new_ones() -> None:
    assert pickles.modern("__builtin__", "set") == Global("builtins", "set")
    assert pickles.modern("copy_reg", "_reconstructor") == Global("copyreg", "_reconstructor")


SOUND = pickle.dumps({"w": [1, 2.5, ("a", b"b", None)], "n": collections.OrderedDict(x=1), "c": complex(1, 2)}, 2)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(SOUND) - 1), st.integers(0, 255), st.integers(0, 3))
def test_a_changed_pickle_is_refused_or_read(at: int, byte: int, cut: int) -> None:
    raw = SOUND[:at] + bytes([byte]) + SOUND[at + cut :]
    with contextlib.suppress(MalformedError, UnsafeError):
        pickles.read_whole(raw, "p")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_refused_or_read(raw: bytes) -> None:
    with contextlib.suppress(RefusedError):
        pickles.read(raw, "p")


def test_odd_escapes_in_a_text_are_no_warning():
    assert pickles.read(b"S'a\\cb'\n.", "odd").value == "a\\cb"
    assert not checkpoints.is_legacy(b"S'a\\cb'\n.")
