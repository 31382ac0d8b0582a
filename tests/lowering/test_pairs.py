"""Programs with complex numbers, made real: they give what they gave, at other sizes too."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from torchship.lowering.fourier import Pair, transform, transform_real, transform_to_real
from torchship.lowering.pairs import without_complex
from torchship.lowering.refusal import UnloweredError

WINDOW = torch.hann_window(12)


class Spectra(nn.Module):
    """A layer with complex weights, a spectrogram that is masked, and rotations."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4, dtype=torch.cfloat))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        spectrum = torch.fft.rfft(x, norm="ortho")
        mixed = torch.cat([spectrum[:, :4] @ self.weight, spectrum[:, 4:] * 1.5], 1)
        frames = torch.stft(x, 16, 4, 12, WINDOW, return_complex=True)
        turned = torch.view_as_complex(x.reshape(x.shape[0], -1, 2)) * torch.polar(torch.ones(32), torch.arange(32.0))
        two = torch.fft.fft2(x.reshape(x.shape[0], 8, 8))
        return (
            torch.fft.irfft(mixed, n=63), frames.abs(), torch.view_as_real(turned / (2 - 1j)), two.angle().cos(),
            torch.istft(frames * frames.abs(), 16, 4, 12, WINDOW, length=60), two.conj().sum(-1).imag,
            torch.fft.fft(x, dim=0).real, torch.where(x > 0, two.reshape(-1, 64).real, spectrum.real.sum()),
        )  # fmt: skip


def spectra() -> tuple[nn.Module, torch.export.ExportedProgram]:
    torch.manual_seed(0)
    model, rows = Spectra(), torch.export.Dim("rows", min=1, max=20)
    shapes = {"x": {0: rows}}
    return model, torch.export.export(model, (torch.randn(3, 64),), dynamic_shapes=shapes, strict=False)


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
def test_a_program_with_complex_weights_and_spectra_becomes_real() -> None:
    model, program = spectra()
    real = without_complex(program)
    values = [node.meta["val"] for node in real.graph.nodes if isinstance(node.meta.get("val"), Tensor)]
    assert not any(value.is_complex() for value in values)
    assert without_complex(real) is real
    for rows in (1, 2, 7):
        x = torch.randn(rows, 64)
        for answer, eager in zip(real.module()(x), model(x), strict=True):
            torch.testing.assert_close(answer, eager, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("length", [1, 2, 15, 16, 131, 400, 1024])
@pytest.mark.parametrize("normalization", [0, 1, 2])
def test_transforms_are_torchs(length: int, normalization: int) -> None:
    norm = ("backward", "ortho", "forward")[normalization]
    x, y = torch.randn(2, length, 3, dtype=torch.float64), torch.randn(2, length, 3, dtype=torch.float64)
    z = torch.complex(x, y)
    torch.testing.assert_close(
        torch.complex(*transform(Pair(x, y), [1], normalization, forward=True)), torch.fft.fft(z, dim=1, norm=norm)
    )
    half = transform_real(x, [1], normalization, onesided=True)
    torch.testing.assert_close(torch.complex(*half), torch.fft.rfft(x, dim=1, norm=norm))
    back = torch.ops.aten._fft_c2r.default(torch.complex(*half), [1], normalization, length)
    torch.testing.assert_close(transform_to_real(half, [1], normalization, length), back)


def test_a_long_prime_length_is_refused() -> None:
    with pytest.raises(UnloweredError, match="a Fourier transform of length 10007"):
        transform_real(torch.zeros(10007), [0], 0, onesided=True)


class Powers(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cumprod(torch.complex(x, x), 0).real


def test_an_operator_that_is_not_known_is_refused_by_name() -> None:
    program = torch.export.export(Powers(), (torch.randn(3),), strict=False)
    with pytest.raises(UnloweredError, match=r"aten.cumprod of complex numbers isn't known here"):
        without_complex(program)
