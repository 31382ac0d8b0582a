"""What stands for an operator that ONNX's exporter lacks gives what the operator gives, and survives the conversion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from torchship.lowering.refusal import UnloweredError
from torchship.targets.onnx.lowering import LOWERINGS, lowered

aten = torch.ops.aten
CALLS: dict[str, tuple[object, Callable[..., object]]] = {
    "sort": (aten.sort.stable, lambda op, x, d: op(x, stable=True, dim=d, descending=False)),
    "sort_down": (aten.sort.stable, lambda op, x, d: op(x, stable=True, dim=d, descending=True)),
    "argsort": (aten.argsort.stable, lambda op, x, d: op(x, stable=True, dim=d, descending=True)),
    "kthvalue": (aten.kthvalue.default, lambda op, x, d: op(x, 2, d)[0]),
    "median": (aten.median.dim, lambda op, x, d: op(x, d, True)[0]),
    "median_of_all": (aten.median.default, lambda op, x, d: op(x)),
    "searchsorted": (aten.searchsorted.Tensor, lambda op, x, d: op(torch.linspace(-2, 2, 5), x)),
    "searchsorted_right": (aten.searchsorted.Tensor, lambda op, x, d: op(x.sort(-1)[0], x, right=True)),
    "cummax": (aten.cummax.default, lambda op, x, d: op(x, d)),
    "cummin": (aten.cummin.default, lambda op, x, d: op(x, d)),
    "cumprod": (aten.cumprod.default, lambda op, x, d: op(x, d)),
    "logcumsumexp": (aten.logcumsumexp.default, lambda op, x, d: op(x, d)),
}


def tensors(value: object) -> list[Tensor]:
    return list(value) if isinstance(value, (tuple, list)) else [value]  # type: ignore[list-item]


@pytest.mark.parametrize("name", CALLS)
@settings(deadline=None)  # the first call of torch's takes long
@given(shape=st.tuples(st.integers(2, 4), st.integers(2, 6)), dim=st.integers(-2, 1), seed=st.integers(0, 99))
def test_it_gives_what_the_operator_gives(name, shape, dim, seed):
    operator, call = CALLS[name]
    x = torch.randint(-3, 4, shape, generator=torch.Generator().manual_seed(seed)).float()  # with many equal ones
    if name.startswith("sort") or name == "argsort":
        x = x + torch.arange(x.numel()).reshape(shape) * 1e-3  # torch's own topk has no order of equal ones
    for mine, theirs in zip(tensors(call(LOWERINGS[operator], x, dim)), tensors(call(operator, x, dim)), strict=True):
        torch.testing.assert_close(mine, theirs)


class Every(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        given = (x * 2).round()  # with equal ones: ONNX Runtime keeps their order
        return (
            *torch.sort(given, dim=1, stable=True), torch.argsort(given, dim=1, descending=True, stable=True),
            *torch.cummax(given, dim=1), *torch.cummin(given, dim=0), x.median(dim=1).values, x.median(),
            x.kthvalue(3, dim=1).values, torch.searchsorted(torch.linspace(-1, 1, 6), x),
            torch.cumprod(x, dim=1), torch.logcumsumexp(x, dim=1),
        )  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
def test_onnx_runtime_gives_it_too_at_other_sizes(tmp_path: Path) -> None:
    rows = torch.export.Dim("rows", min=1, max=30)
    program = torch.export.export(Every(), (torch.randn(3, 8),), dynamic_shapes={"x": {0: rows}}, strict=False)
    torch.onnx.export(lowered(program), dynamo=True, verbose=False).save(tmp_path / "every.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "every.onnx")
    for count in (1, 2, 7):
        x = torch.randn(count, 8, generator=torch.Generator().manual_seed(count))
        for place, (answer, eager) in enumerate(zip(session.run(None, {"x": x.numpy()}), Every()(x), strict=True)):
            np.testing.assert_allclose(answer, eager.numpy(), rtol=1e-5, atol=1e-6, err_msg=f"output {place}")


def test_a_program_without_them_stays_the_very_same():
    program = torch.export.export(nn.ReLU(), (torch.randn(3),), strict=False)
    assert lowered(program) is program


def test_what_would_take_too_much_memory_is_refused():
    with pytest.raises(UnloweredError, match="over 5000 elements"):
        LOWERINGS[aten.cummax.default](torch.zeros(5000), 0)
