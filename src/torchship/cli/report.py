"""``torchship report BUNDLE -o FILE.html``: one self-contained page."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from torchship.cli.output import Output
from torchship.errors import UsageError

if TYPE_CHECKING:
    from torchship.report.answers import Extra

HELP = "write one self-contained HTML page of a bundle: choice, plots, parity, accuracy, some answers"
_SUFFIXES = {".png", ".jpg", ".jpeg", ".npy", ".npz", ".json"}


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the contract, and pictures to show besides."""
    parser.add_argument("bundle", metavar="BUNDLE", help="a bundle, or a .ship file")
    parser.add_argument(
        "inputs", metavar="PICTURE", nargs="*", help="pictures (or folders of them) to show with their answers"
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE.html", help="the page to write")


def run(options: argparse.Namespace, output: Output) -> int:
    """Write the page whole or not at all."""
    from torchship.report import check_destination, make_page, write_page

    destination = Path(options.output)
    check_destination(destination)
    write_page(destination, make_page(options.bundle, tuple(_extras(options.inputs))))
    output.result({"report": str(destination), "size_bytes": destination.stat().st_size})
    if not output.json:
        output.console.print(f"report: {destination}", markup=False, soft_wrap=True)
    return 0


def _extras(paths: Iterable[str]) -> Iterator[Extra]:
    from torchship.report.answers import Extra

    for path in map(Path, paths):
        if not path.exists():
            raise UsageError(f"there is no file {path}", hint="check the path")
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and (file is path or file.suffix.lower() in _SUFFIXES):
                yield Extra(file.name, file.read_bytes())
