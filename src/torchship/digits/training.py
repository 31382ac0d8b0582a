"""Training that a seed reproduces bit for bit, and that can go on where it stopped.

What fixes the bits: everything random is drawn from a generator of its own, seeded by (seed, epoch), so that an
epoch's order and shifts don't depend on what ran before it; one thread, so that every float sum keeps its order;
deterministic kernels; a learning rate that is a function of the epoch's number. So two epochs and two more are
four in one go. Another CPU family or another torch may round otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from torchship.digits.data import CLASSES, SIDE, Digits
from torchship.digits.nets import NETS, Arch, Preprocess
from torchship.errors import TorchshipError

Loss = Literal["ce", "bce", "mse"]
OptimizerName = Literal["sgd", "adam"]

EPOCHS = 8
BATCH = 32
MOST_SHIFT = 1
"""Each image is moved by up to this many pixels each way: 4,000 images are few, and a net learns them by heart."""

_RATE: dict[OptimizerName, float] = {"sgd": 0.02, "adam": 0.001}
_GRADIENT_NORM = 1.0
"""Without this bound SGD on the squared error can saturate the softmax at once and never learn one of the digits."""


@dataclass(frozen=True)
class Recipe:
    """What fixes the weights, beside the data and the number of epochs."""

    arch: Arch = "cnn"
    loss: Loss = "ce"
    optimizer: OptimizerName = "adam"
    seed: int = 0


@dataclass
class Training:
    """A net on its way. ``epochs`` are those behind it."""

    recipe: Recipe
    net: nn.Module
    preprocess: Preprocess
    optimizer: torch.optim.Optimizer
    epochs: int = 0


@dataclass(frozen=True)
class Step:
    """One batch is done; ``done`` of ``total`` of this call to `train`."""

    epoch: int
    done: int
    total: int
    loss: float


def cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """Of the softmax of the scores."""
    return functional.cross_entropy(scores, labels)


def binary_cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """One yes-or-no question a digit, each on the sigmoid of its score; summed over them, mean over the batch."""
    wanted = functional.one_hot(labels, CLASSES).to(scores.dtype)
    return functional.binary_cross_entropy_with_logits(scores, wanted, reduction="sum") / len(labels)


def squared_error(scores: Tensor, labels: Tensor) -> Tensor:
    """Of the softmax, summed over the digits, mean over the batch: the Brier score (Brier, 1950).

    On the scores themselves a linear net could not get beyond 0.85 with these 4,000 images, not even solved exactly.
    """
    wanted = functional.one_hot(labels, CLASSES).to(scores.dtype)
    return functional.mse_loss(scores.softmax(1), wanted, reduction="sum") / len(labels)


LOSSES: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {
    "ce": cross_entropy,
    "bce": binary_cross_entropy,
    "mse": squared_error,
}


def make_optimizer(name: OptimizerName, net: nn.Module) -> torch.optim.Optimizer:
    """Fresh, with the learning rate of the first epoch."""
    if name == "sgd":
        return torch.optim.SGD(net.parameters(), lr=_RATE[name], momentum=0.9)
    return torch.optim.Adam(net.parameters(), lr=_RATE[name])


def start(recipe: Recipe) -> Training:
    """A net with its first weights, which the seed fixes. The caller's random generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(_mixed(recipe.seed, 0))
        net = NETS[recipe.arch]()
    return Training(recipe, net, Preprocess(), make_optimizer(recipe.optimizer, net))


def train(training: Training, digits: Digits, epochs: int, on_step: Callable[[Step], None] | None = None) -> None:
    """Train for so many further epochs, in place. Raises TorchshipError where the loss is no longer finite."""
    total = epochs * math.ceil(len(digits) / BATCH)
    data = TensorDataset(torch.tensor(digits.batch()), torch.tensor(digits.labels, dtype=torch.int64))
    training.net.train()
    with reproducible():
        for done, loss in enumerate(_steps(training, data, epochs), start=1):
            if not math.isfinite(loss):
                raise TorchshipError(
                    f"the loss became {loss} in epoch {training.epochs + 1}", hint="another --optimizer or --seed"
                )
            if on_step:
                on_step(Step(training.epochs + 1, done, total, loss))
    training.net.eval()


def _steps(training: Training, data: TensorDataset, epochs: int) -> Iterator[float]:
    """The loss of each batch, after its step."""
    loss_of = LOSSES[training.recipe.loss]
    for _ in range(epochs):
        generator = torch.Generator().manual_seed(_mixed(training.recipe.seed, 1 + training.epochs))
        for group in training.optimizer.param_groups:
            group["lr"] = _RATE[training.recipe.optimizer] / (1 + training.epochs / 4)
        for images, labels in DataLoader(data, BATCH, shuffle=True, generator=generator):
            training.optimizer.zero_grad()
            loss = loss_of(training.net(training.preprocess(shifted(images, generator))), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(training.net.parameters(), _GRADIENT_NORM)
            training.optimizer.step()
            yield loss.item()
        training.epochs += 1


def shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image of ``[n, 1, 28, 28]`` moved by its own -1, 0 or 1 pixels down and across; black comes in."""
    wide = functional.pad(images[:, 0], [MOST_SHIFT] * 4)
    corner = torch.randint(0, 2 * MOST_SHIFT + 1, (len(images), 2, 1), generator=generator)
    rows, columns = (corner + torch.arange(SIDE)).unbind(1)
    which = torch.arange(len(images))[:, None, None]
    return wide[which, rows[:, :, None], columns[:, None, :]][:, None]


@contextmanager
def reproducible() -> Iterator[None]:
    """One thread, and an error instead of a kernel that isn't deterministic; the caller's settings come back."""
    threads = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)
        torch.set_num_threads(threads)


def _mixed(seed: int, epoch: int) -> int:
    """A 64-bit seed; SeedSequence's mixing is the same in every version of numpy by its own policy."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> np.uint64(1))
