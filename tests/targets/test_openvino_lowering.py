"""What OpenVINO's frontend lacks or gets wrong comes out right: many operators in one model, at other sizes too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own custom
from torch import Tensor, nn

from torchship.convert.diagnosis import Graph, diagnose
from torchship.lowering.refusal import UnloweredError
from torchship.targets.openvino.library import core, library
from torchship.targets.openvino.lowering import decoder
from torchship.targets.openvino.ties import keep_their_order


class Every(nn.Module):
    def forward(self, x: Tensor, n: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        given = (x * 2).round()
        square = x.reshape(-1, 4, 4)
        steady = square @ square.mT + torch.eye(4)
        spectrum = torch.fft.rfft(x)
        heads = x.reshape(-1, 1, 4, 4)
        lowest, at = torch.tril_indices(4, 4, -1)
        kernels = x.reshape(-1, 1, 4, 4)[..., :3, :3]
        return (
            x.trunc(), x.frac(), torch.exp2(x), torch.hypot(x, x + 1), torch.fmax(x.log(), x), torch.copysign(x, -x),
            *torch.cummax(given, 1), x.sign().argsort(1, descending=True),
            torch.cumprod(x, 1), x.median(1).values, x.kthvalue(3, 1).values,
            x.var(), (x > 0).cumsum(1), torch.round(x, decimals=1), x.norm(), torch.cdist(square, square, p=1.0),
            n // 3, n % -3, torch.div(n, 2, rounding_mode="trunc"), 7 % (n.abs() + 1), n << 2, n >> 1, n | 5,
            (n + 128).to(torch.uint8) >> 1, torch.einsum("bii->b", square), square[:, lowest, at],
            torch.linalg.inv(steady), torch.linalg.det(square), torch.linalg.cholesky(steady),
            spectrum.abs(), torch.fft.irfft(spectrum * 2, n=16),
            F.scaled_dot_product_attention(heads, heads, heads, attn_mask=mask.reshape(-1, 1, 4, 4)),
            F.scaled_dot_product_attention(heads.repeat(1, 2, 1, 1), heads, heads, enable_gqa=True),
            F.conv2d(x.reshape(1, -1, 4, 4), kernels, padding=1, groups=x.shape[0]),
            x.unfold(1, 4, 2), x.reshape(-1, 4, 4).unfold(-2, 3, 1),
            torch.zeros(3, 16).index_add(0, torch.arange(x.shape[0]) % 3, x),
        )  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
def test_openvino_gives_what_torch_gives() -> None:
    rows = torch.export.Dim("rows", min=1, max=30)
    shapes = {name: {0: rows} for name in ("x", "n", "mask")}
    program = torch.export.export(Every(), call(3), dynamic_shapes=shapes, strict=False)
    run = compiled(program)
    for count in (1, 2, 7):
        given = call(count)
        for place, (answer, eager) in enumerate(zip(run(given), Every()(*given), strict=True)):
            np.testing.assert_allclose(answer, eager.numpy(), rtol=2e-4, atol=1e-4, err_msg=f"output {place}")


class Hash(nn.Module):
    def forward(self, n: Tensor) -> Tensor:
        return (n * 2654435761123) & 0xFFFF


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
def test_whole_numbers_that_32_bits_do_not_hold_are_refused_with_their_line() -> None:
    program = torch.export.export(Hash(), (torch.arange(3),), strict=False)
    with pytest.raises(UnloweredError) as caught:
        decoder(program)
    told = diagnose(caught.value, "converting", graph=Graph.of(program), target="openvino")
    assert "OpenVINO computes whole numbers in 32 bits, and 2654435761123 needs more" in told.what
    assert "`return (n * 2654435761123) & 0xFFFF`" in told.what
    assert told.op == "aten.mul.Tensor"
    assert "test_openvino_lowering.py:" in str(told.where)
    assert told.hint == "take a target that computes in 64 bits: onnx, torchscript, exported, aoti"


def call(rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """All of the keys of some rows are hidden."""
    draw = torch.Generator().manual_seed(rows)
    return (
        torch.randn(rows, 16, generator=draw), torch.randint(-20, 20, (rows, 5), generator=draw),
        torch.rand(rows, 16, generator=draw) > 0.7,
    )  # fmt: skip


def compiled(program: torch.export.ExportedProgram) -> Callable[[tuple[Tensor, ...]], list[np.ndarray]]:
    model = keep_their_order(library().convert_model(decoder(program)))
    session = core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda inputs: [np.array(each) for each in session([each.numpy() for each in inputs]).values()]
