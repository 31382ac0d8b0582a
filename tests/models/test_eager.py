"""Running the model as it is."""

from __future__ import annotations

import numpy as np
import torch

from torchship.models.eager import as_array


def test_a_scalar_stays_a_scalar_and_strides_become_plain() -> None:
    assert as_array(torch.tensor(2.5)).shape == ()
    turned = as_array(torch.arange(6).reshape(2, 3).t())
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(turned, [[0, 3], [1, 4], [2, 5]])
    assert as_array(torch.ones(2, dtype=torch.bfloat16)).dtype == np.float32
