"""The two nets, and the preprocessing that ships with them.

No ``from __future__ import annotations`` here: ``torch.jit.script`` can't read a class's annotations as strings.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from torchship.digits.data import CLASSES, SIDE

Arch = Literal["cnn", "linear"]

MEAN = 0.1307
STD = 0.3081
"""Of MNIST's 60,000 training images, scaled to 0..1: the figures that the field uses."""


class Preprocess(nn.Module):
    """Pixels to what the net was trained on: ``(image / 255 - mean) / std``.

    The constants are buffers, so that ``.double()`` makes the whole graph compute in float64.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: float = MEAN, std: float = STD) -> None:
        super().__init__()
        self.mean = mean
        self.std = std
        self.register_buffer("scale", torch.tensor(1 / (255 * std), dtype=torch.float32))
        self.register_buffer("shift", torch.tensor(-mean / std, dtype=torch.float32))

    def forward(self, image: Tensor) -> Tensor:
        """From uint8 ``[batch, 1, 28, 28]`` to float of the same shape."""
        return image.to(self.scale.dtype) * self.scale + self.shift


class Linear(nn.Module):
    """Softmax regression: ``nn.Linear(784, 10)``."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(SIDE * SIDE, CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        """From float ``[batch, 1, 28, 28]`` to scores ``[batch, 10]``."""
        return self.linear(image.flatten(1))  # type: ignore[no-any-return]


class Cnn(nn.Module):
    """Two convolutions of 3 by 3, each with ReLU and pooled to half, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.linear = nn.Linear(64 * (SIDE // 4) ** 2, CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        """From float ``[batch, 1, 28, 28]`` to scores ``[batch, 10]``."""
        half = torch.max_pool2d(torch.relu(self.conv1(image)), 2)
        quarter = torch.max_pool2d(torch.relu(self.conv2(half)), 2)
        return self.linear(quarter.flatten(1))  # type: ignore[no-any-return]


NETS: dict[Arch, type[Linear] | type[Cnn]] = {"cnn": Cnn, "linear": Linear}
