from __future__ import annotations

import torch
from torch import nn

from torchship.models.precision import Coarsest


def seen(call):
    with Coarsest() as coarsest:
        call()
    return coarsest.epsilon


def test_the_coarsest_type_inside_is_seen_and_single_factors_are_not():
    layer, x = nn.Linear(4, 4), torch.randn(2, 4)
    assert seen(lambda: layer(x)) == 2**-23
    assert seen(lambda: layer(x) * torch.tensor(0.5).half()) == 2**-23
    assert seen(lambda: layer(x.double().float())) == 2**-23
    assert seen(lambda: x.double().cumsum(0).argmax(0)) == 2**-52


def test_autocast_counts_as_what_it_casts_to():
    layer, x = nn.Linear(4, 4), torch.randn(2, 4)

    def cast():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return layer(x).float()

    assert seen(cast) == 2**-7
