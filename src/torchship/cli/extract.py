"""``torchship extract``: one artifact of a bundle as plain files, for other tools."""

from __future__ import annotations

import os
import shutil
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from torchship.cli.output import Output
from torchship.errors import UsageError

HELP = "copy an artifact (the plain .onnx, .pt, .pt2 …) out of a bundle"


def add(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("bundle", metavar="BUNDLE", type=Path)
    parser.add_argument("artifact", metavar="ARTIFACT", help="its name; `torchship inspect` and `bench` tell the names")
    parser.add_argument(
        "-o", "--output", metavar="PATH", type=Path, required=True, help="a file, or a folder to put it in"
    )


def run(options: Namespace, output: Output) -> int:
    """Check the bundle, copy the artifact; several files need a folder."""
    from torchship.bundle.opening import open_bundle

    with open_bundle(options.bundle) as bundle:
        shipped = bundle.manifest.find(options.artifact)
        if shipped is None:
            names = ", ".join(one.artifact.name for one in bundle.manifest.shipped)
            raise UsageError(f"the bundle has no artifact {options.artifact!r}", hint=f"it has: {names}")
        folder = bundle.artifact_folder(shipped.artifact.name)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        if len(files) == 1:
            written = [_copy(files[0], _place(options.output, files[0].name))]
        else:
            written = _copy_all(folder, files, options.output)
    output.result({"artifact": options.artifact, "files": [str(path) for path in written]})
    if not output.json:
        sys.stdout.write("".join(f"{path}\n" for path in written))
    return 0


def _place(wanted: Path, name: str) -> Path:
    return wanted / name if wanted.is_dir() else wanted


def _copy_all(folder: Path, files: list[Path], wanted: Path) -> list[Path]:
    if wanted.is_file():
        raise UsageError(f"the artifact has {len(files)} files, {wanted} is one", hint="-o FOLDER")
    return [_copy(path, wanted / path.relative_to(folder)) for path in files]


def _copy(source: Path, target: Path) -> Path:
    """A file appears whole or not at all; raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.copyfile(source, scratch)
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
    return target
