"""Takes weights away: one file a method. Each prunes a module in place and says in a sentence what it took."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, cast

from torch import Tensor, nn

from torchship.errors import ConversionError

Method = Callable[[nn.Module, Callable[[], Any], float], str]
WEIGHED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


def methods() -> tuple[str, ...]:
    """What the methods are called: the files of this folder."""
    return tuple(sorted(info.name for info in pkgutil.iter_modules(__path__)))


def method_of(name: str) -> Method:
    """The method: it takes the module, a call of it on an example, and the share to take away."""
    return cast(Method, importlib.import_module(f"{__name__}.{name}").prune)


def weights_of(module: nn.Module) -> list[tuple[str, Tensor]]:
    """The weights of convolutions and linear layers, by name, each once.

    Raises:
        ConversionError: there are none.
    """
    found: dict[int, tuple[str, Tensor]] = {}
    for name, each in module.named_modules():
        if isinstance(each, WEIGHED):
            found.setdefault(id(each.weight), (f"{name}.weight" if name else "weight", each.weight))
    if not found:
        raise ConversionError(
            "there is nothing to prune: the model has no convolution and no linear layer", hint="leave --prune out"
        )
    return list(found.values())
