"""What the hints say to write instead of an operator is right, and ONNX takes it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from torchship.convert.diagnosis.rewrites import REWRITES, instead

pytestmark = pytest.mark.filterwarnings("ignore")

X = torch.tensor([[0.3, -1.2, 2.0, 0.1, 0.7], [1.1, 0.2, -0.4, 3.0, 0.9], [-2.0, 0.0, 1.0, 0.5, 0.6]])
IDS = torch.tensor([0, 3, 1, 3, 2, 3])
MEANS = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
GIVEN = "dim = 1; k = 2; n = 5"
CASES = {
    "median": (f"{GIVEN}", "x", "torch.median(x, 1).values"),
    "kthvalue": (f"{GIVEN}", "x", "torch.kthvalue(x, 2, 1).values"),
    "cummax": (f"{GIVEN}", "x", "torch.cummax(x, -1).values"),
    "cummin": (f"{GIVEN}", "x", "torch.cummin(x, -1).values"),
    "searchsorted": ("edges = torch.arange(4.0)", "x", "torch.searchsorted(torch.arange(4.0), x)"),
    "bucketize": ("edges = torch.arange(4.0)", "x", "torch.bucketize(x, torch.arange(4.0))"),
    "bincount": ("n = 4", "ids", "torch.bincount(ids, minlength=4)"),
    "histc": ("n = 5; low = -3.0; high = 4.0; x = x.flatten()", "x", "torch.histc(x, 5, -3.0, 4.0).long()"),
    "cdist": ("y = x[:2]", "x", "torch.cdist(x, x[:2])"),
    "shift_left": ("n = 2; x = ids", "ids", "ids << 2"),
    "shift_right": ("n = 1; x = ids - 2", "ids", "(ids - 2) >> 1"),
    "scatter_reduce": (
        "n = 4; index = ids; x = x[0, :1].expand(6) + ids * ids", "ids",
        "torch.zeros(4).scatter_reduce(0, ids, x[0, :1].expand(6) + ids * ids, 'mean', include_self=False)",
    ),
    "fft": (
        "n = 5; angles = 2 * torch.pi * torch.outer(torch.arange(n), torch.arange(n)) / n", "x",
        "torch.view_as_real(torch.fft.fft(x))",
    ),
}  # fmt: skip


def rewritten(name: str, given: str) -> str:
    argument = {"bincount": "x = ids; "}.get(name, "")
    return f"def {name}(x, ids):\n    {argument}{given}\n    return {REWRITES[name]}\n"


class All(nn.Module):
    def forward(self, x: Tensor, ids: Tensor) -> list[Tensor]:
        return [function(x, ids) for function in FUNCTIONS.values()]


FUNCTIONS: dict = {}
for _name, (_given, _, _) in CASES.items():
    _space: dict = {"torch": torch}
    exec(rewritten(_name, _given), _space)
    FUNCTIONS[_name] = _space[_name]


@pytest.fixture(scope="module")
def answers():
    import onnxruntime

    program = torch.onnx.export(All(), (X, IDS), dynamo=True, verbose=False, input_names=["x", "ids"])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), options)
    return dict(zip(CASES, session.run(None, {"x": X.numpy(), "ids": IDS.numpy()}), strict=True))


def test_every_rewrite_is_tried():
    assert set(CASES) == set(REWRITES)


@pytest.mark.parametrize("name", CASES)
def test_a_rewrite_gives_what_the_operator_gives(name, answers):
    expected = eval(CASES[name][2], {"torch": torch, "x": X, "ids": IDS})
    np.testing.assert_allclose(answers[name], expected.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("op", "told"),
    [
        ("aten.median.dim", "write x.sort(dim)"),
        ("aten.sort.stable", "without stable=True"),
        ("aten._fft_r2c", "the DFT's matrix"),
        ("aten._linalg_svd", "compute it in __init__"),
        ("aten.__rshift__.Scalar", "rounding_mode"),
        ("aten.relu", ""),
    ],
)
def test_the_way_out_of_an_operator(op, told):
    assert told in instead(op)
    assert bool(instead(op)) == bool(told)
