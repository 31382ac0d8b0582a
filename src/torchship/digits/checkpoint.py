"""The file that ``train digits`` writes: a state_dict, and what is needed to know what it is and to go on with it.

A plain dict that ``torch.load(weights_only=True)`` reads: the fields of `Header`, ``state_dict``, and
``optimizer_state`` (the optimizer's ``state``; its settings are the code's).
"""

from __future__ import annotations

import pickle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import torch
from torch import Tensor, nn

from torchship.digits.fitting import damaged, fit, optimizer_state
from torchship.digits.nets import NETS, Arch, Preprocess
from torchship.digits.recognise import FORMAT, all_stored, is_digits
from torchship.digits.training import Loss, OptimizerName, Recipe, Training, make_optimizer
from torchship.digits.writing import write
from torchship.errors import MalformedError, StorageError, UsageError

VERSION = 1
_MOST_BYTES = 16 << 20

Natural = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


class Header(msgspec.Struct, frozen=True):
    """What the weights are. ``mean`` and ``std`` are the preprocessing's, of pixels scaled to 0..1."""

    format: str
    version: int
    arch: Arch
    loss: Loss
    optimizer: OptimizerName
    seed: Natural
    epochs: Natural
    mean: Annotated[float, msgspec.Meta(ge=0, le=1)]
    std: Annotated[float, msgspec.Meta(gt=0, le=1)]


@dataclass(frozen=True)
class Checkpoint:
    """A file that was read and found whole: the net has its weights and is in eval mode."""

    path: Path
    header: Header
    net: nn.Module
    preprocess: Preprocess
    optimizer_state: dict[int, dict[str, Tensor]]

    @property
    def recipe(self) -> Recipe:
        """As it was trained last."""
        return Recipe(self.header.arch, self.header.loss, self.header.optimizer, self.header.seed)

    def resume(self, recipe: Recipe) -> Training:
        """Go on by ``recipe``; where its optimizer is another, that starts anew.

        Raises UsageError where the architecture is another.
        """
        if recipe.arch != self.header.arch:
            raise UsageError(
                f"{self.path} holds the architecture {self.header.arch}, not {recipe.arch}",
                hint=f"--arch {self.header.arch}, or leave --arch out",
            )
        optimizer = make_optimizer(recipe.optimizer, self.net)
        if recipe.optimizer == self.header.optimizer:
            settings = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": self.optimizer_state, "param_groups": settings})
        return Training(recipe, self.net, self.preprocess, optimizer, self.header.epochs)


def save(training: Training, path: Path) -> None:
    """Write the file whole or not at all. Raises as `writing.check_destination` does."""
    recipe, pixels = training.recipe, training.preprocess
    made = Header(FORMAT, VERSION, **asdict(recipe), epochs=training.epochs, mean=pixels.mean, std=pixels.std)
    content = {
        **msgspec.structs.asdict(made),  # `format` stays first: that is how the file is recognised
        "state_dict": dict(training.net.state_dict()),
        "optimizer_state": training.optimizer.state_dict()["state"],
    }
    write(path, content)


def load(path: Path) -> Checkpoint:
    """Read a file that `save` wrote; nothing in it is executed.

    Raises UsageError where it is not there or another kind of file, MalformedError where it is damaged.
    """
    _recognise(path)
    content = _read(path)
    header = _header(path, content)
    net = NETS[header.arch]()
    fit(net, content.get("state_dict"), str(path))
    net.eval()
    state = optimizer_state(net, header.optimizer, content.get("optimizer_state"), str(path))
    return Checkpoint(path, header, net, Preprocess(header.mean, header.std), state)


def _recognise(path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"{path} is not a file" if path.exists() else f"{path} is not there")
    try:
        path.open("rb").close()
    except OSError as error:
        raise StorageError(f"{path} can't be read: {error.strerror}", hint="check its permissions") from error
    if not is_digits(path):
        raise UsageError(
            f"{path} is not a whole file of `torchship train digits`",
            hint="torchship train digits -o FILE.pth makes one",
        )


def _read(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _MOST_BYTES:
        raise damaged(str(path), f"is larger than a digits net can be ({_MOST_BYTES >> 20} MiB)")
    if not all_stored(path):
        raise damaged(str(path), "is compressed, as torch never writes it")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, ValueError, TypeError) as error:
        raise damaged(str(path), f"can't be read ({str(error).splitlines()[0]})") from error
    if not isinstance(content, dict):
        raise damaged(str(path), f"holds a {type(content).__name__} in place of a dict")
    return content


def _header(path: Path, content: dict[str, Any]) -> Header:
    version = content.get("version")
    if isinstance(version, int) and version > VERSION:
        raise MalformedError(
            f"{path} has version {version} of the format; this torchship reads up to {VERSION}",
            hint="pip install --upgrade torchship",
        )
    try:
        return msgspec.convert(content, Header)
    except msgspec.ValidationError as error:
        raise damaged(str(path), f"doesn't say what it is ({error})") from error
