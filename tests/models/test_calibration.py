"""Typical inputs in all their forms, and those that nothing can be read from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.export import Dim

from torchship.errors import UsageError
from torchship.models.calibration import write_calibration
from torchship.models.described import described
from torchship.models.open import prepare
from torchship.models.recorder import Recorder
from torchship.targets.passes import Calibration


@pytest.fixture
def model(tmp_path):
    source = {"model": nn.Linear(4, 2).eval(), "args": (torch.randn(3, 4),), "dynamic_shapes": {"input": {0: Dim("n")}}}
    signature = Recorder(prepare(described(source, "here")), tmp_path).record("here").signature
    opened = prepare(described(source | {"model": nn.Linear(4, 2).eval()}, "here"))
    return lambda given: write_calibration(opened, given, signature, tmp_path / "calibration.npz")


ROWS = np.arange(160, dtype=np.float32).reshape(40, 4)


@pytest.mark.parametrize(
    "given",
    [
        [torch.from_numpy(ROWS[at : at + 8]) for at in range(0, 40, 8)],
        [(ROWS[at : at + 8],) for at in range(0, 40, 8)],
        lambda: ({"input": ROWS[at : at + 8]} for at in range(0, 40, 8)),
        {"input": ROWS},
    ],
)
def test_every_form_is_read(model, given, tmp_path):
    model(given)
    rows = list(Calibration(tmp_path / "calibration.npz").rows())
    np.testing.assert_array_equal(np.concatenate([row[0] for row in rows]), ROWS)


def test_a_file_is_read(model, tmp_path):
    np.savez(tmp_path / "given.npz", input=ROWS)
    model(tmp_path / "given.npz")
    first = next(Calibration(tmp_path / "calibration.npz").rows())
    assert first[0].shape == (32, 4)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "the calibration data is empty"),
        ({"input": ROWS[:0]}, "the calibration data is empty"),
        ([torch.ones(3, 4)] * 3, "is constant"),
        ([torch.randn(3, 5)], "calibration example 0 doesn't fit"),
        ([torch.full((3, 4), torch.nan), torch.randn(3, 4)], "holds NaN"),
        ({"other": ROWS}, "the calibration data lacks input"),
        (7, "the calibration data is a int"),
    ],
)
def test_what_nothing_can_be_read_from_is_refused(model, given, told):
    with pytest.raises(UsageError, match=told) as caught:
        model(given)
    assert caught.value.hint


def test_a_file_that_is_something_else(model, tmp_path):
    (tmp_path / "given.npz").write_bytes(b"no zip")
    with pytest.raises(UsageError, match="can't be read as calibration data"):
        model(tmp_path / "given.npz")
