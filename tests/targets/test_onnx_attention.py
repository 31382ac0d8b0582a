"""Attention in ONNX: as torch gives it, with three axes and with four, also where a mask hides every key."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own custom
from torch import Tensor, nn

from torchship.targets.onnx.translations import TRANSLATIONS

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")


class Attentions(nn.Module):
    def forward(self, q: Tensor, k: Tensor, v: Tensor, hide: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
        mask = torch.zeros(hide.shape).masked_fill(hide, float("-inf"))
        first = q[:, 0], k[:, 0], v[:, 0]
        return (
            F.scaled_dot_product_attention(q, k, v, mask[:, None, None]),
            F.scaled_dot_product_attention(q, k, v, ~hide[:, None, None]),
            F.scaled_dot_product_attention(q, k, v),
            F.scaled_dot_product_attention(*first, mask[:, None]),
            F.scaled_dot_product_attention(*first, ~hide[:, None]),
            F.scaled_dot_product_attention(*first, bias),
            F.scaled_dot_product_attention(*first, is_causal=True),
            F.scaled_dot_product_attention(*first, scale=0.3),
        )


NAMES = ("q", "k", "v", "hide", "bias")


def arguments(batch: int, seed: int) -> tuple[Tensor, ...]:
    torch.manual_seed(seed)
    q, k, v = torch.randn(batch, 2, 4, 8), torch.randn(batch, 2, 5, 8), torch.randn(batch, 2, 5, 8)
    hide = torch.rand(batch, 5) < 0.4
    hide[0] = True  # a row that is padding all through
    return q, k, v, hide, torch.randn(4, 5)


def test_every_form_is_right_at_other_sizes(tmp_path: Path) -> None:
    batch = torch.export.Dim("batch", min=1, max=9)
    shapes = {name: {0: batch} for name in NAMES[:4]} | {"bias": None}
    program = torch.export.export(Attentions(), arguments(2, 0), dynamic_shapes=shapes, strict=False)
    made = torch.onnx.export(program, dynamo=True, verbose=False, custom_translation_table=TRANSLATIONS)
    made.save(tmp_path / "attention.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "attention.onnx")
    for size in (1, 3):
        given = arguments(size, size)
        eager = Attentions()(*given)
        answers = session.run(None, {name: each.numpy() for name, each in zip(NAMES, given, strict=True)})
        for place, (mine, theirs) in enumerate(zip(answers, eager, strict=True)):
            np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-4, atol=1e-5, err_msg=f"form {place}")
