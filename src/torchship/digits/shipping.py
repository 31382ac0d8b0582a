"""A trained digits net as a source for ``ship``: the one that needs no ``--model`` and brings its own data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim

from torchship.digits import checkpoint, data

MOST_IN_A_BATCH = 1024


class Labelled(TypedDict):
    """``image`` uint8 ``[n, 1, 28, 28]``, ``labels`` uint8 ``[n]``."""

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]


class Source(TypedDict):
    """The source dict of the contract; every image is uint8 ``[batch, 1, 28, 28]``."""

    model: nn.Module
    args: tuple[Tensor]
    dynamic_shapes: dict[str, dict[int, Dim]]
    preprocess: nn.Module
    labels: list[str]
    fresh: Callable[[], Iterator[tuple[Tensor]]]
    calibration: list[tuple[Tensor]]
    evaluate: Labelled
    train: Labelled
    names: dict[str, list[str]]


def source(path: Path) -> Source:
    """What ``ship`` needs of a file that ``train digits`` wrote. Raises what `checkpoint.load` raises.

    Accuracy is always measured on the embedded held-out thousand, also where ``--data`` was trained on: ``train``
    leaves those images out of any training data, so they are held out from every net.
    """
    trained = checkpoint.load(path)
    embedded = data.split()
    held_out = embedded.held_out
    return Source(
        model=trained.net,
        args=(torch.tensor(embedded.train.batch()[:2]),),
        dynamic_shapes={"image": {0: Dim("batch", min=1, max=MOST_IN_A_BATCH)}},
        preprocess=trained.preprocess.eval(),
        labels=[str(digit) for digit in range(data.CLASSES)],
        fresh=fresh,
        calibration=[(torch.tensor(embedded.train.batch()[first : first + 32]),) for first in range(0, 512, 32)],
        evaluate=Labelled(image=held_out.batch(), labels=held_out.labels),
        train=Labelled(image=embedded.train.batch(), labels=embedded.train.labels),
        names={"inputs": ["image"], "outputs": ["scores"]},
    )


def fresh() -> Iterator[tuple[Tensor]]:
    """Inputs that no capture saw: held-out digits in batches of several sizes, all black, all white, and noise."""
    images = torch.tensor(data.split().held_out.batch())
    generator = torch.Generator().manual_seed(0)
    yield from ((images[:1],), (images[1:4],), (images[4:36],))
    yield (torch.zeros_like(images[:1]),)
    yield (torch.full_like(images[:2], 255),)
    yield (torch.randint(0, 256, (5, *images.shape[1:]), dtype=torch.uint8, generator=generator),)
