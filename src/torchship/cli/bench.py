"""``torchship bench``: how fast every artifact of a bundle is on this host, side by side."""

from __future__ import annotations

import dataclasses
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from torchship.cli.output import Output
from torchship.errors import TorchshipError, UnavailableError, UsageError
from torchship.measure.compare import Ratio
from torchship.runtime.typical import inputs_of, sizes_of

if TYPE_CHECKING:
    from torchship.bundle.manifest import Latency, Shipped
    from torchship.bundle.opening import Bundle
    from torchship.worker.remote import RemoteSession

HELP = "measure every artifact of a bundle on this host: latency and throughput, interleaved"
_ROUNDS = 8  # of a comparison


class Measured(msgspec.Struct, frozen=True):
    """One artifact at one batch size (0: the model has no batch). ``throughput``: rows a second, one call at a time."""

    artifact: str
    batch: int
    threads: int
    latency_ms: Latency
    throughput: float


class Compared(msgspec.Struct, frozen=True):
    """An artifact beside the one of the same name in another bundle: how many times as long it takes there.

    ``verdict``: ``equal`` within the noise, ``quicker`` or ``slower`` there.
    """

    artifact: str
    batch: int
    ratio: Ratio
    verdict: str


class Skipped(msgspec.Struct, frozen=True):
    """An artifact that can't be measured here, and why."""

    artifact: str
    reason: str


def add(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("bundle", metavar="BUNDLE", type=Path)
    parser.add_argument("--artifact", metavar="NAME", action="append", help="only this one; may be repeated")
    parser.add_argument("--batch", metavar="N", type=int, action="append", help="a batch size; 1, 8 and 32 by default")
    parser.add_argument("--threads", metavar="N", type=int, help="intra-op threads, in place of each artifact's own")
    parser.add_argument(
        "--compare", metavar="BUNDLE2", type=Path, help="time the artifacts of the same names of both, in turns"
    )
    parser.add_argument("--seconds", metavar="S", type=float, default=1.0, help="for each artifact and batch size")


def run(options: Namespace, output: Output) -> int:
    """Measure, each artifact in a process of its own; tell what was passed over."""
    from torchship.bundle.opening import open_bundle
    from torchship.measure.host import this_host

    if options.seconds <= 0 or any(size < 1 for size in options.batch or ()):
        raise UsageError("--seconds and --batch take numbers above 0")
    if options.compare is not None:
        return _compare(options, output)
    with ExitStack() as stack:
        bundle = stack.enter_context(open_bundle(options.bundle))
        entrants, skipped = _enter(bundle, options.artifact, options.threads, stack)
        measured = [
            one for size in sizes_of(bundle.manifest.signature, options.batch)
            for one in _race(bundle, entrants, size, options.seconds)
        ]  # fmt: skip
    output.result({"bundle": str(options.bundle), "measured": measured, "skipped": skipped, "host": this_host()})
    if not output.json:
        _show(measured, output)
    for each in skipped:
        output.note(f"passed over {each.artifact}: {each.reason}")
    return 0


def _compare(options: Namespace, output: Output) -> int:
    """Race each artifact with the one of its name in the other bundle; tell what the noise can't explain."""
    from torchship.bundle.opening import open_bundle

    with ExitStack() as stack:
        bundles = [stack.enter_context(open_bundle(each)) for each in (options.bundle, options.compare)]
        if bundles[0].manifest.signature != bundles[1].manifest.signature:
            raise UsageError(
                "the two bundles take other inputs or give other outputs than each other", hint="of one model"
            )
        sides = [_enter(each, options.artifact, options.threads, stack) for each in bundles]
        there = {each.name: each for each in sides[1][0]}
        both = [(each, there[each.name]) for each in sides[0][0] if each.name in there]
        if not both:
            raise UsageError("the two bundles have no artifact of the same name that runs here")
        sizes = sizes_of(bundles[0].manifest.signature, options.batch)
        compared = [_compared(bundles[0], *pair, size, options.seconds) for size in sizes for pair in both]
    output.result({"bundle": str(options.bundle), "beside": str(options.compare), "compared": compared})
    if not output.json:
        for one in compared:
            found = one.ratio
            told = f"{found.value:.2f} times as long there ({found.low:.2f} to {found.high:.2f}): {one.verdict}"
            output.console.print(f"{one.artifact}, batch {one.batch or '-'}: {told}", markup=False)
    return 0


def _compared(bundle: Bundle, mine: _Entrant, other: _Entrant, size: int, seconds: float) -> Compared:
    from torchship.measure.compare import ratio

    inputs = inputs_of(bundle, size)
    rounds: tuple[list[Sequence[float]], list[Sequence[float]]] = ([], [])
    for number in range(_ROUNDS):
        for place in (0, 1) if number % 2 else (1, 0):
            rounds[place].append((mine, other)[place].session.time(inputs, seconds / _ROUNDS))
    found = ratio(rounds[1], rounds[0])
    return Compared(mine.name, size, found, "equal" if found.equal else "slower" if found.value > 1 else "quicker")


@dataclasses.dataclass(frozen=True)
class _Entrant:
    name: str
    threads: int
    session: RemoteSession


def _enter(
    bundle: Bundle, names: Sequence[str] | None, threads: int | None, stack: ExitStack
) -> tuple[list[_Entrant], list[Skipped]]:
    """Open each artifact in a worker.

    Raises:
        UsageError: there is no artifact of a name that was asked for.
        UnavailableError: none can be measured here.
    """
    from torchship.runtime.loading import candidates

    chosen = [one for name in names for one in candidates(bundle, name, None)] if names else bundle.manifest.shipped
    opened = [_open(bundle, shipped, threads, stack) for shipped in chosen]
    entrants = [each for each in opened if isinstance(each, _Entrant)]
    skipped = [each for each in opened if isinstance(each, Skipped)]
    if not entrants:
        told = "; ".join(f"{each.artifact}: {each.reason}" for each in skipped)
        raise UnavailableError("no artifact of the bundle can run here", where=str(bundle.folder), hint=told)
    return entrants, skipped


def _open(bundle: Bundle, shipped: Shipped, threads: int | None, stack: ExitStack) -> _Entrant | Skipped:
    from torchship.measure.cores import cores
    from torchship.measure.host import misfit
    from torchship.targets import runner_of
    from torchship.worker.remote import RemoteSession

    artifact = shipped.artifact
    settings = artifact.settings if threads is None else msgspec.structs.replace(artifact.settings, threads=threads)
    try:
        runner_of(artifact.target).needs.check(f"the artifact {artifact.name}")
        if why := misfit(artifact.host):
            raise UnavailableError(why)
        session = RemoteSession(artifact, bundle.artifact_folder(artifact.name), bundle.manifest.signature, settings)
    except TorchshipError as error:
        return Skipped(artifact.name, f"{error.what}{f' ({error.hint})' if error.hint else ''}")
    stack.callback(session.close)
    return _Entrant(artifact.name, settings.threads or cores(), session)


def _race(bundle: Bundle, entrants: Sequence[_Entrant], size: int, seconds: float) -> list[Measured]:
    from torchship.measure.latency import quantiles, race

    inputs = inputs_of(bundle, size)
    turns = [lambda share, one=one: one.session.time(inputs, share) for one in entrants]
    found = []
    for one, milliseconds in zip(entrants, race(turns, seconds=seconds), strict=True):
        latency = quantiles(milliseconds)
        throughput = max(size, 1) / latency.p50 * 1e3
        found.append(Measured(one.name, size, one.threads, latency, throughput))
    return found


def _show(measured: Sequence[Measured], output: Output) -> None:
    from rich.table import Table

    table = Table("artifact", "batch", "threads", "p50 ms", "p99 ms", "rows/s")
    for column in table.columns[1:]:
        column.justify = "right"
    for one in sorted(measured, key=lambda each: (each.batch, each.latency_ms.p50)):
        latency = one.latency_ms
        shown = (f"{latency.p50:.3f}", f"{latency.p99:.3f}", f"{one.throughput:,.0f}")
        table.add_row(one.artifact, str(one.batch or "-"), str(one.threads), *shown)
    output.console.print(table)
