"""``torchship doctor``: which targets this machine can build and run, and what is missing for the others."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from torchship.cli.output import Output

if TYPE_CHECKING:
    from torchship.measure.host import Host
    from torchship.targets.runner import Needs

HELP = "tell which targets this machine can build and run, and the pip line for what is missing"


class Health(msgspec.Struct, frozen=True):
    """What this machine can do with a target; ``hint`` is what would bring the rest."""

    build: bool
    run: bool
    hint: str | None


def add(parser: ArgumentParser) -> None:
    """There are no arguments."""


def run(_: Namespace, output: Output) -> int:
    """Look at the machine; nothing is installed, and no runtime is loaded."""
    from torchship.measure.host import this_host
    from torchship.targets import known

    host = this_host()
    targets = {name: health(name) for name in known()}
    output.result({"targets": targets, "host": host})
    if not output.json:
        _show(targets, host)
    return 0


def health(target: str) -> Health:
    """Find what a target needs and lacks."""
    from torchship.targets import builder_of, runner_of

    build = _lacks(lambda: builder_of(target).needs)
    run = _lacks(lambda: runner_of(target).needs)
    return Health(not build, not run, "; ".join(dict.fromkeys(line for line in (build, run) if line)) or None)


def _lacks(needs: Callable[[], Needs]) -> str | None:
    """The line that brings what is missing; None where nothing is."""
    try:
        found = needs()
    except ImportError as error:
        return f"it can't be loaded here: {error}"
    return found.hint if found.missing else None


def _show(targets: dict[str, Health], host: Host) -> None:
    sys.stdout.write(f"{host.cpu}, {host.cores} cores, {host.memory_mb} MB free, {host.system} {host.machine}")
    sys.stdout.write(f", Python {host.python}{', CUDA' if host.cuda else ''}\n")
    sys.stdout.write(", ".join(f"{name} {version}" for name, version in host.versions.items()) + "\n\n")
    width = max(map(len, targets))
    for name, each in targets.items():
        can = [word for word, able in (("builds", each.build), ("runs", each.run)) if able]
        told = " and ".join(can) or "not here"
        sys.stdout.write(f"  {name:<{width}}  {told:<15}  {each.hint or ''}".rstrip() + "\n")
