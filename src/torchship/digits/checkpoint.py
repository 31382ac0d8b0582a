"""The file that ``train digits`` writes: a state_dict, and what is needed to know what it is and to go on with it.

A plain dict that ``torch.load(weights_only=True)`` reads: the fields of `Header`, ``state_dict``, and
``optimizer_state`` (the optimizer's ``state``; its settings are the code's).
"""

from __future__ import annotations

import os
import pickle
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import torch
from torch import Tensor, nn

from torchship.digits.nets import MEAN, NETS, STD, Arch, Preprocess
from torchship.digits.recognise import FORMAT, all_stored, is_digits
from torchship.digits.training import Loss, OptimizerName, Recipe, Training, make_optimizer
from torchship.errors import MalformedError, StorageError, UsageError

VERSION = 1
_MOST_BYTES = 16 << 20

Natural = Annotated[int, msgspec.Meta(ge=0, lt=1 << 63)]


class Header(msgspec.Struct, frozen=True):
    """What the weights are. ``mean`` and ``std`` are the preprocessing's, of pixels scaled to 0..1."""

    format: str
    version: int
    arch: Arch
    loss: Loss
    optimizer: OptimizerName
    seed: Natural
    epochs: Natural
    mean: float = MEAN
    std: Annotated[float, msgspec.Meta(gt=0)] = STD


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
    """Write the file whole or not at all. Raises StorageError, UsageError (see `check_destination`)."""
    recipe = training.recipe
    header = Header(FORMAT, VERSION, recipe.arch, recipe.loss, recipe.optimizer, recipe.seed, training.epochs)
    content = {
        **msgspec.structs.asdict(header),  # `format` stays first: that is how the file is recognised
        "state_dict": dict(training.net.state_dict()),
        "optimizer_state": training.optimizer.state_dict()["state"],
    }
    _write_atomically(path, content)


def check_destination(path: Path) -> None:
    """Find out before the training whether its result can be written to ``path``."""
    if path.is_dir() or (path.exists() and not path.is_file()):
        raise UsageError(f"{path} is not a file", hint="-o takes the name of the file to write, as in digits.pth")
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} is not there", hint=f"mkdir -p {path.parent}")
    probe = _beside(path)
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise _unwritable(path, error) from error


def _write_atomically(path: Path, content: dict[str, Any]) -> None:
    check_destination(path)
    half = _beside(path)
    try:
        with half.open("xb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path.resolve())
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        half.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """In the folder of the file itself, not of a link to it: a rename stays within one file system."""
    path = path.resolve()
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path} can't be written: {error.strerror}", where=str(path.parent), hint="another -o, or make room there"
    )


def load(path: Path) -> Checkpoint:
    """Read a file that `save` wrote; nothing in it is executed.

    Raises UsageError where it is not there or another kind of file, MalformedError where it is damaged.
    """
    if not path.is_file():
        raise UsageError(f"{path} is not there" if not path.exists() else f"{path} is not a file")
    if not is_digits(path):
        raise UsageError(
            f"{path} was not written by `torchship train digits`", hint="torchship train digits -o FILE.pth makes one"
        )
    content = _read(path)
    header = _header(path, content)
    net = NETS[header.arch]()
    fit(net, content.get("state_dict"), path)
    net.eval()
    state = _optimizer_state(path, content.get("optimizer_state"), list(net.parameters()))
    return Checkpoint(path, header, net, Preprocess(header.mean, header.std), state)


def _read(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _MOST_BYTES or not all_stored(path):
        raise _damaged(path, f"is larger than a digits net can be ({_MOST_BYTES >> 20} MiB)")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise StorageError(f"{path} can't be read: {error.strerror}", hint="check its permissions") from error
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, ValueError, TypeError) as error:
        raise _damaged(path, f"can't be read ({str(error).splitlines()[0]})") from error
    if not isinstance(content, dict):
        raise _damaged(path, f"holds a {type(content).__name__} in place of a dict")
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
        raise _damaged(path, f"doesn't say what it is ({error})") from error


def fit(net: nn.Module, weights: object, path: Path) -> None:
    """Put ``weights`` into ``net``. Raises MalformedError, naming every key that is missing, strange or misshapen."""
    own = net.state_dict()
    if not isinstance(weights, dict):
        raise _damaged(path, "has no state_dict")
    misfits = {key: _misfit(value, own.get(key)) for key, value in weights.items()}
    wrong = [f"{key} is missing" for key in own if key not in weights]
    wrong += [f"{key} {misfit}" for key, misfit in misfits.items() if misfit]
    if wrong:
        raise _damaged(path, f"doesn't fit the architecture {type(net).__name__.lower()}: {'; '.join(wrong)}")
    net.load_state_dict(weights)


def _misfit(value: object, own: Tensor | None) -> str:
    """What is wrong with a weight; nothing where it fits."""
    if own is None:
        return "is not of this architecture"
    if not isinstance(value, Tensor):
        return f"is a {type(value).__name__}, not a tensor"
    if value.shape != own.shape or value.dtype != own.dtype:
        return f"is {_kind(value)}, not {_kind(own)}"
    return "" if torch.isfinite(value).all() else "holds NaN or infinity"


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"


def _optimizer_state(path: Path, state: object, parameters: list[nn.Parameter]) -> dict[int, dict[str, Tensor]]:
    """Moments have their parameter's shape; what else an optimizer keeps is a single number."""
    if not isinstance(state, dict):
        raise _damaged(path, "has no optimizer_state")
    for index, moments in state.items():
        if index not in range(len(parameters)) or not isinstance(moments, dict):
            raise _damaged(path, f"has an optimizer_state for parameter {index}, which is none")
        for name, value in moments.items():
            if not isinstance(value, Tensor) or value.shape not in (parameters[index].shape, torch.Size()):
                raise _damaged(path, f"has an optimizer_state that doesn't fit: {name} of parameter {index}")
    return state


def _damaged(path: Path, what: str) -> MalformedError:
    return MalformedError(f"{path} {what}", hint="train it again: the file is damaged or was changed")
