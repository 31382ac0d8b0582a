"""``torchship inspect``: what a file or bundle is and holds, and whether it is safe; nothing in it is executed."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from torchship.cli.output import Output
from torchship.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from torchship.formats.findings import Findings, Tensor

HELP = "tell what a model, data file or bundle holds, and whether it is safe to open (exit 3 where it is not)"
_SHOWN = 40  # tensors that a person is shown


def add(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("path", metavar="PATH", type=Path, help="a file, or a bundle's folder")


def run(options: Namespace, output: Output) -> int:
    """Look, and tell."""
    found = look(options.path)
    output.result({**msgspec.structs.asdict(found), "safe": found.safe})
    if not output.json:
        sys.stdout.write(_words(options.path, found))
    return 0 if found.safe else RefusedError.exit_status


def look(path: Path) -> Findings:
    """Look into whatever is at ``path``; raises UsageError where nothing is, or a folder that is no bundle."""
    from torchship.bundle import archive, inspecting, opening
    from torchship.formats import recognise
    from torchship.formats.findings import Findings

    if opening.is_bundle(path) or archive.is_archive(path):
        return inspecting.look(path)
    if (path / "saved_model.pb").exists():
        return Findings("SavedModel", ("torchship can't look into a SavedModel, so nobody can call it safe",))
    if path.is_dir():
        raise UsageError(f"{path} is a folder that is not a bundle", hint="name a file, or a bundle's folder")
    return recognise.look(path)


def _words(path: Path, found: Findings) -> str:
    lines = [f"{path}: {found.kind}, {'safe to open' if found.safe else 'NOT safe to open'}"]
    lines += [f"  because {reason}" for reason in found.reasons]
    for title, tensors in (("inputs", found.inputs), ("outputs", found.outputs), ("tensors", found.tensors)):
        lines += _tensors(title, tensors)
    lines += [f"  artifacts, best first: {', '.join(found.artifacts)}"] if found.artifacts else []
    return "\n".join(lines) + "\n"


def _tensors(title: str, tensors: Sequence[Tensor]) -> list[str]:
    lines = [f"  {title}:"] if tensors else []
    lines += [f"    {tensor.name or '(the array)'}: {_type(tensor)}" for tensor in tensors[:_SHOWN]]
    return lines + ([f"    … and {len(tensors) - _SHOWN} more"] if len(tensors) > _SHOWN else [])


def _type(tensor: Tensor) -> str:
    shape = "" if tensor.shape is None else f" [{', '.join(str(size) for size in tensor.shape)}]"
    return f"{tensor.dtype or 'tensor'}{shape}"
