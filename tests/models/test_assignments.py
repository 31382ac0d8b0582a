from __future__ import annotations

import torch
from torch import nn

from torchship.models.assignments import assignment_of


class Average(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))
        self.count = 0

    def forward(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
        self.advance()
        return x - self.mean

    def advance(self):
        self.count, self.last = self.count + 1, self.count


def test_the_line_that_binds_an_attribute_anew():
    model = nn.Sequential(nn.Linear(4, 4), Average())
    mean, count = assignment_of(model, "1.mean"), assignment_of(model, "1.count")
    assert mean is not None
    assert mean.code == "self.mean = 0.9 * self.mean + 0.1 * x.mean(0)"
    assert str(mean) == f"test_assignments.py:{Average.forward.__code__.co_firstlineno + 1} in forward"
    assert count is not None
    assert count.function == "advance"
    assert assignment_of(model, "1.other") is None
    assert assignment_of(model, "0.weight") is None
