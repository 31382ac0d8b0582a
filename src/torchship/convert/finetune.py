"""A short training after weights were taken away: towards the labels, and towards what the whole model answered."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from torchship.errors import UsageError
from torchship.models.evaluation import LabelledData
from torchship.models.flat import result_tree
from torchship.models.model import Model

_ROWS = 64  # a step
_EPOCHS = 5
_STEPS = 200  # at least, where there are few rows
_SECONDS = 60.0
_RATE = 1e-3


def finetune(model: Model, whole: Model, data: LabelledData, masked: bool) -> str:
    """Train ``model`` in place on ``data``, and leave it in eval mode; ``masked``: what is 0 stays 0.

    The loss is the cross-entropy of the first output where it holds scores, and the mean square from what ``whole``
    answers (Hinton et al., 2015), against that answer's own spread. Adam, its rate falling along a cosine.

    Raises:
        UsageError: fewer rows than one step takes.
    """
    count = len(data.labels)
    if count < 2:
        raise UsageError("the training data has fewer than two rows", hint="give some hundred at least")
    module = model.flat
    kept = [(weight, weight != 0) for weight in module.parameters() if weight.ndim > 1] if masked else []
    model.description.model.train()  # as the user's model trains; what prepares its inputs stays as it is
    module.requires_grad_(True)
    weights = [each for each in module.parameters() if each.is_floating_point()]
    optimizer = torch.optim.Adam(weights, lr=_RATE)
    generator, end, steps = torch.Generator().manual_seed(0), time.monotonic() + _SECONDS, 0
    epochs = max(_EPOCHS, math.ceil(_STEPS * _ROWS / count))
    total = epochs * math.ceil(count / _ROWS)
    with torch.enable_grad():
        for _ in range(epochs):
            for rows in torch.randperm(count, generator=generator).split(_ROWS):  # type: ignore[no-untyped-call]
                if time.monotonic() > end or len(rows) < 2:
                    continue
                for group in optimizer.param_groups:
                    group["lr"] = _RATE * (1 + math.cos(math.pi * steps / total)) / 2
                inputs = tuple(each[rows] for each in data.inputs)
                loss = _loss(module.call(inputs), _answers(whole, inputs), torch.as_tensor(data.labels)[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                with torch.no_grad():
                    for weight, mask in kept:
                        weight.mul_(mask)
                steps += 1
    module.requires_grad_(False)
    module.eval()
    return f"trained for {steps} steps of {_ROWS} rows since"


def _answers(whole: Model, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    with torch.no_grad():
        return result_tree(whole.flat.call(inputs))[1]


def _loss(answer: object, right: Sequence[Tensor], labels: Tensor) -> Tensor:
    given = result_tree(answer)[1]
    terms = [
        functional.mse_loss(mine.float(), theirs.float()) / theirs.float().var().clamp_min(1e-6)
        for mine, theirs in zip(given, right, strict=True)
        if mine.is_floating_point()
    ]
    first = given[0]
    if first.ndim == 2 and first.is_floating_point() and 0 <= int(labels.min()) <= int(labels.max()) < first.shape[1]:
        terms.append(functional.cross_entropy(first.float(), labels))
    return torch.stack(terms).sum()
