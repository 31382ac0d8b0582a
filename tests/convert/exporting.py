"""Exports a module as a ship would, and holds the program against it."""

from __future__ import annotations

import copy

import torch
from torch import nn

from torchship.convert.capture import capture
from torchship.models.described import described
from torchship.models.eager import call
from torchship.models.open import prepare
from torchship.models.recorder import Recorder
from torchship.targets.builder import Form


def exported(model: nn.Module, args: tuple[torch.Tensor, ...], shapes, folder):
    source = {"args": args, "dynamic_shapes": shapes}
    recorded = prepare(described(source | {"model": copy.deepcopy(model).eval()}, "here"))  # it ends in float64
    signature = Recorder(recorded, folder).record("here").signature
    opened = prepare(described(source | {"model": model.eval()}, "here"))
    return opened, capture(opened, Form.EXPORTED, signature).value


def agrees(opened, program, *given: torch.Tensor) -> None:
    with torch.no_grad():
        answers = program.module()(*given)
    for mine, theirs in zip(answers, call(opened.flat, given)[1], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
