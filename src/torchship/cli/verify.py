"""``torchship verify``: whether a bundle is what was shipped."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from torchship.cli.output import Output

HELP = "check every file of a bundle against its manifest"


def add(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("bundle", metavar="BUNDLE", type=Path)
    parser.add_argument(
        "--key", metavar="FILE.pub", action="append", help="must be signed by this key; may be repeated"
    )


def run(options: Namespace, output: Output) -> int:
    """Check; raises TamperedError, MalformedError or UnsafeError, which name the file."""
    from torchship.bundle.opening import open_bundle
    from torchship.bundle.trust import check_trust

    start = time.perf_counter()
    check_trust(options.bundle, options.key)
    with open_bundle(options.bundle) as bundle:
        files = bundle.manifest.files
    seconds = time.perf_counter() - start
    size = sum(entry.size for entry in files)
    output.result({"bundle": str(options.bundle), "files": len(files), "bytes": size, "seconds": seconds})
    if not output.json:
        sys.stdout.write(f"{options.bundle}: {len(files)} files, {size / 1e6:.3g} MB, all as they were shipped\n")
        sys.stdout.write("its origin was not checked: that takes a signature and a key\n")
    return 0
