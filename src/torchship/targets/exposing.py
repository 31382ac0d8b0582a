"""A converted graph with its inner values as outputs, so that each layer can be held against the model's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from torchship.bundle.artifact import Artifact
from torchship.targets.builder import Captured
from torchship.targets.registry import part_of


@dataclass(frozen=True)
class Value:
    """A value in a converted graph. ``path``: the module that makes it; ``users``: those that take it."""

    name: str
    path: str
    users: tuple[str, ...]


@dataclass(frozen=True)
class Exposed:
    """An artifact whose further outputs are ``values``, in their order, after those of the signature."""

    artifact: Artifact
    folder: Path
    values: tuple[Value, ...]


class Exposer(Protocol):
    """``targets/NAME/layers.py`` offers one as ``expose``; a target without one is made again with more outputs."""

    def __call__(
        self, captured: Captured, artifact: Artifact, folder: Path, into: Path, paths: Sequence[str]
    ) -> Exposed:
        """Give the artifact in ``folder`` with the values that leave the modules ``paths``, written into ``into``."""
        ...


def exposer_of(target: str) -> Exposer | None:
    """What the target offers; None where it offers nothing."""
    return cast("Exposer | None", part_of(target, "layers", "expose"))


def leaving(values: Sequence[Value], path: str) -> list[Value]:
    """The values that the module at ``path`` makes and others take, in the graph's order."""
    return [each for each in values if within(each.path, path) and not all(within(user, path) for user in each.users)]


def within(path: str, module: str) -> bool:
    """Whether ``path`` is ``module`` or below it."""
    return path == module or path.startswith(f"{module}.")


def scope_path(parts: Sequence[str]) -> str:
    """A module's path of the scopes that TorchScript writes: ``encoder``, ``layers.0`` (of ``layers``), ``attn``."""
    path: list[str] = []
    for part in parts:
        if path and part.startswith(f"{path[-1]}."):
            path[-1] = part
        else:
            path.append(part)
    return user_path(".".join(path))


def user_path(path: str) -> str:
    """The path below the flat module around the user's: ``module.model.attn`` is ``model.attn``."""
    return path.removeprefix("module.") if path != "module" else ""
