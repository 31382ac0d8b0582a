"""The Model: what every later room starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from torchship.models.flat import FlatModule
from torchship.signature import Dim, Parameter
from torchship.targets.builder import Form

Axes = Mapping[int, Dim]


@dataclass(frozen=True)
class Description:
    """What a source says of itself, in the form of the contract's source dict; all but ``model`` may be missing.

    ``sized``: it says itself which sizes are open (``dynamic_shapes``), and none else is to be looked for.
    ``native``: makers of the forms that it is in already, or leads to by itself; they take the call's flat tensors.
    ``closed``: the forms that no capture leads to, each with the reason. ``notes`` are told to the user.
    """

    model: nn.Module
    args: tuple[Any, ...] | None = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    dynamic_shapes: Any = None
    preprocess: nn.Module | None = None
    postprocess: nn.Module | None = None
    labels: tuple[str, ...] = ()
    fresh: Any = None
    calibration: Any = None
    evaluate: Any = None
    train: Any = None
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    sized: bool = False
    native: Mapping[Form, Callable[[], Any]] = field(default_factory=dict)
    closed: Mapping[Form, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Model:
    """A module that is ready to be run and captured.

    ``flat`` takes ``examples`` (flat tensors, called ``names``) and gives flat tensors; ``axes[i]`` holds the dynamic
    axes that the user declared for input i (none anywhere: nothing was declared). ``notes`` are told to the user.
    """

    description: Description
    flat: FlatModule
    names: tuple[str, ...]
    examples: tuple[Tensor, ...]
    axes: tuple[Axes, ...]
    parameters: tuple[Parameter, ...]
    notes: tuple[str, ...] = ()
