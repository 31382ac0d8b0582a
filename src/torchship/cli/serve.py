"""``torchship serve``: answers requests over HTTP with a bundle's model."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, Namespace
from pathlib import Path

from torchship.cli.output import Output
from torchship.errors import UsageError

HELP = "serve a bundle over HTTP, by the Open Inference Protocol v2"


def add(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("bundle", metavar="BUNDLE", help="a bundle, a .ship file, or a bare .onnx file")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: this machine alone)")
    parser.add_argument("--port", type=_port, default=8000, help="0 takes a free one, which is printed (default: 8000)")
    parser.add_argument("--name", help="the model's name in the paths (default: the bundle's)")
    parser.add_argument(
        "--workers", type=_count, default=0, metavar="N",
        help="processes (default: one a core, four at most, for a quick model; one for a slow one)",
    )  # fmt: skip
    parser.add_argument("--threads", type=_count, default=1, metavar="N", help="of each call of the model (default: 1)")
    parser.add_argument("--artifact", metavar="NAME", help="this artifact and no other")
    parser.add_argument(
        "--max-batch", type=_count, default=0, metavar="N",
        help="rows that are joined to a batch at most (default: as measured at the start)",
    )  # fmt: skip
    parser.add_argument(
        "--max-queue", type=_count, default=512, metavar="N",
        help="requests that may wait; what comes beyond is answered 429 (default: 512)",
    )  # fmt: skip
    parser.add_argument(
        "--max-body-mb", type=_positive, default=64.0, metavar="M", help="of a request, in MiB (default: 64)"
    )
    parser.add_argument(
        "--timeout", type=_positive, default=30.0, metavar="S", help="seconds that a request may take (default: 30)"
    )
    parser.add_argument(
        "--drain", type=_positive, default=30.0, metavar="S",
        help="seconds that requests under way get at the end (default: 30)",
    )  # fmt: skip


def run(options: Namespace, output: Output) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    from torchship.serve.control import Ready
    from torchship.serve.settings import MIB, ServeSettings
    from torchship.serve.supervisor import Supervisor

    bundle = Path(options.bundle)
    if not bundle.exists():
        raise UsageError(f"there is nothing at {bundle}", hint="check the path; `torchship ship` makes a bundle")
    settings = ServeSettings(
        bundle=bundle,
        name=_name(options.name, bundle),
        host=options.host,
        port=options.port,
        workers=options.workers,
        artifact=options.artifact,
        threads=options.threads,
        max_batch=options.max_batch,
        max_queue=options.max_queue,
        max_body=int(options.max_body_mb * MIB),
        timeout=options.timeout,
        drain=options.drain,
    )

    def announce(url: str, ready: Ready) -> None:
        for note in ready.notes:
            output.note(note)
        told = {"url": url, "model": f"{url}/v2/models/{settings.name}", "artifact": ready.artifact}
        output.result({**told, "name": settings.name, "batch": ready.rows})
        if not output.json:
            print(f"{settings.name} ({ready.artifact}) answers at {told['model']}; Ctrl-C ends it", flush=True)  # noqa: T201

    return Supervisor(settings, announce, output.note).run()


def _name(given: str | None, bundle: Path) -> str:
    name = bundle.resolve().name.removesuffix(".ship").removesuffix(".onnx") if given is None else given
    if not name or "/" in name or not name.isprintable():
        raise UsageError(f"{name!r} can't be a model's name in a path", hint="--name digits")
    return name


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to 65535")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number
