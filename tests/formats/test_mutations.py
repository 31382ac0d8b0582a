"""Real files with bytes changed, cut, doubled and added: a look finds reasons or none, quickly, and nothing else."""

from __future__ import annotations

import functools
import tempfile
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from formats.harmful import Net, program, saved, script
from small_bundle import write_onnx
from torchship.formats import recognise


@functools.cache
def sound(kind: str) -> bytes:
    net = Net()
    if kind in ("program", "script", "onnx"):
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if kind == "onnx":
                write_onnx(Path(folder) / "m")
                return (Path(folder) / "m").read_bytes()
            return (program if kind == "program" else script)(Path(folder)).read_bytes()
    if kind == "module":
        return saved(torch.nn.Sequential(torch.nn.Linear(2, 2)))
    return saved(net.state_dict(), _use_new_zipfile_serialization=kind == "weights")


CHANGES = st.lists(
    st.tuples(
        st.integers(0, 1 << 30), st.sampled_from(["flip", "cut", "add", "end"]), st.binary(min_size=1, max_size=9)
    ),
    min_size=1,
    max_size=4,
)


def changed(raw: bytes, changes: list[tuple[int, str, bytes]]) -> bytes:
    made = bytearray(raw)
    for place, how, new in changes:
        at = place % max(1, len(made))
        if how == "flip":
            made[at : at + len(new)] = new
        elif how == "cut":
            del made[at : at + new[0] % 24 + 1]
        elif how == "add":
            made[at:at] = new
        else:
            del made[at:]
    return bytes(made)


@pytest.mark.parametrize("kind", ["weights", "legacy", "module", "program", "script", "onnx"])
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES)
def test_a_changed_file_is_looked_at_and_nothing_else(
    kind: str, changes: list[tuple[int, str, bytes]], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(changed(sound(kind), changes))
    found = recognise.look(path)
    assert found.kind
    assert all(found.reasons)
