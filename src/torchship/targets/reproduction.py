"""How a target is made and run by its own tools alone: pieces of the script that shows a failure without torchship."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torchship.targets.registry import part_of


@dataclass(frozen=True)
class Reproduction:
    """``targets/NAME/reproduce.py`` offers one as ``REPRODUCTION``.

    ``convert`` holds, for each route, Python that makes the artifact of what the route starts from, called
    ``exported``, ``scripted``, ``traced`` or (a path) ``onnx``, with ``example`` (flat tensors), ``INPUTS``,
    ``OUTPUTS`` (names) and ``AXES`` (input name to its dynamic axes' names). ``run`` holds Python that answers
    ``arrays`` (flat, numpy) with ``answers``.
    """

    convert: dict[str, str]
    run: str


def reproduction_of(target: str) -> Reproduction | None:
    """What the target offers; None where it offers nothing."""
    return cast("Reproduction | None", part_of(target, "reproduce", "REPRODUCTION"))
