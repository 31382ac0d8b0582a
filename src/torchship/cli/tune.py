"""``torchship tune``: finds the quickest settings of a bundle's artifacts on this host, and keeps them for it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from torchship.cli.output import Output
from torchship.errors import TorchshipError, UnavailableError, UsageError

if TYPE_CHECKING:
    from torchship.bundle.artifact import Settings
    from torchship.bundle.manifest import Shipped
    from torchship.bundle.opening import Bundle
    from torchship.measure.contest import Turn
    from torchship.measure.tuned import Entry
    from torchship.targets import Array

HELP = "find the quickest settings for this host, and keep them in the user's cache"
_HOPELESS = 3.0  # times the quickest artifact's time: settings don't bring that much, where cores are few
_NEAR = 1.5  # times the quickest: within it, which is quicker is seen side by side,
_FINAL = 0.15  # for so many seconds each in each round
_FIRST = 0.4  # seconds for each artifact's first look


def add(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("bundle", metavar="BUNDLE", type=Path)
    parser.add_argument("--artifact", metavar="NAME", action="append", help="only this one; may be repeated")
    parser.add_argument("--batch", metavar="N", type=int, default=1, help="rows a call; 1 by default")
    parser.add_argument("--seconds", metavar="S", type=float, default=1.0, help="for each artifact and knob")


def run(options: Namespace, output: Output) -> int:
    """Tune, each contender in a process of its own."""
    from torchship.bundle.opening import open_bundle
    from torchship.measure import tuned

    if options.seconds <= 0 or options.batch < 1:
        raise UsageError("--seconds and --batch take numbers above 0")
    with open_bundle(options.bundle) as bundle:
        entries = _entries(bundle, options, output)
        try:
            kept = tuned.write(bundle.folder, entries)
        except OSError as error:
            raise UnavailableError(f"the cache can't be written to: {error}", hint="set TORCHSHIP_CACHE") from error
    output.result({"bundle": str(options.bundle), "tuned": entries, "kept": str(kept)})
    if not output.json:
        _show(entries, output)
        output.console.print(f"kept for this host in {kept}", markup=False)
    return 0


def _entries(bundle: Bundle, options: Namespace, output: Output) -> tuple[Entry, ...]:
    """The quickest artifacts' best settings, the quickest first; those that are far behind stay as they are."""
    from torchship.runtime.loading import candidates
    from torchship.runtime.typical import inputs_of, sizes_of

    signature = bundle.manifest.signature
    size = sizes_of(signature, [options.batch])[0]
    inputs = inputs_of(bundle, size)
    names = options.artifact
    wanted = [one for name in names or (None,) for one in candidates(bundle, name, None)]
    first = _first_look(bundle, wanted, inputs, output)
    best = min(first.values())
    entries = []
    for shipped in wanted:
        if (usual := first.get(shipped.artifact.name)) is not None:
            behind = usual > _HOPELESS * best and not names
            entries.append(_tuned(bundle, shipped, inputs, size, 0.0 if behind else options.seconds, output))
    return _ranked(bundle, wanted, entries, inputs)


def _ranked(
    bundle: Bundle, wanted: Sequence[Shipped], entries: Sequence[Entry], inputs: Sequence[Array]
) -> tuple[Entry, ...]:
    """The quickest first; those that are near each other are timed side by side once more."""
    from torchship.measure.contest import Entrant, contest
    from torchship.measure.latency import quantiles

    best = min(each.latency_ms.p50 for each in entries)
    near = [each for each in entries if each.latency_ms.p50 <= _NEAR * best]
    far = sorted((each for each in entries if each not in near), key=lambda each: each.latency_ms.p50)
    by_name = {each.artifact.name: each for each in wanted}
    with ExitStack() as stack:
        entrants = [
            Entrant(each, stack.enter_context(_opened(bundle, by_name[each.artifact], each.settings, inputs)))
            for each in near
        ]
        final = contest(entrants, seconds=_FINAL)
    found = [
        msgspec.structs.replace(each.what, latency_ms=quantiles([time for one in each.rounds for time in one]))
        for each in final
    ]
    return (*found, *far)


def _first_look(bundle: Bundle, wanted: Sequence[Shipped], inputs: Sequence[Array], output: Output) -> dict[str, float]:
    """Milliseconds a call of each that runs here, with the settings that it was shipped with."""
    found: dict[str, float] = {}
    told = []
    for shipped in wanted:
        name = shipped.artifact.name
        try:
            with _opened(bundle, shipped, shipped.artifact.settings, inputs) as turn:
                times = sorted(turn(_FIRST))
                found[name] = times[len(times) // 2]
        except TorchshipError as error:
            told.append(f"passed over {name}: {error.what}")
            output.note(told[-1])
    if not found:
        raise UnavailableError("no artifact of the bundle can run here", hint="; ".join(told))
    return found


def _tuned(
    bundle: Bundle, shipped: Shipped, inputs: Sequence[Array], size: int, seconds: float, output: Output
) -> Entry:
    """Its best settings; those that it was shipped with, timed, where ``seconds`` is 0."""
    from torchship.measure.cores import cores
    from torchship.measure.tuned import Entry
    from torchship.measure.tuning import tune
    from torchship.targets import runner_of

    artifact = shipped.artifact
    knobs = runner_of(artifact.target).knobs(artifact, cores()) if seconds else ()

    def refusing(settings: Settings, error: Exception) -> None:
        output.note(f"{artifact.name}: {_told(settings)} is refused: {error}")

    def opening(settings: Settings) -> AbstractContextManager[Turn]:
        return _opened(bundle, shipped, settings, inputs)

    found = tune(artifact.settings, knobs, opening, seconds or _FIRST, refusing)
    return Entry(artifact.name, found.settings, found.latency_ms, found.against, size, found.tried)


@contextmanager
def _opened(bundle: Bundle, shipped: Shipped, settings: Settings, inputs: Sequence[Array]) -> Iterator[Turn]:
    """In a worker; what answers its golden samples wrongly with these settings is refused."""
    from torchship.measure.host import misfit
    from torchship.runtime.selftest import self_test
    from torchship.targets import runner_of
    from torchship.worker.remote import RemoteSession

    artifact = shipped.artifact
    runner_of(artifact.target).needs.check(f"the artifact {artifact.name}")
    if why := misfit(artifact.host):
        raise UnavailableError(why)
    session = RemoteSession(artifact, bundle.artifact_folder(artifact.name), bundle.manifest.signature, settings)
    try:
        self_test(bundle, shipped, session)
        yield lambda seconds: session.time(inputs, seconds)
    finally:
        session.close()


def _told(settings: Settings) -> str:
    """Settings in a few words."""
    threads = f"{settings.threads} thread{'s' if settings.threads != 1 else ''}"
    return ", ".join([threads, *(f"{name} {value}" for name, value in sorted(settings.options.items()))])


def _show(entries: Sequence[Entry], output: Output) -> None:
    from rich.table import Table

    table = Table("artifact", "settings", "p50 ms", "against as shipped")
    for each in entries:
        share = each.against
        told = "equal" if share.equal else f"{share.value:.2f} ({share.low:.2f} to {share.high:.2f})"
        table.add_row(each.artifact, _told(each.settings), f"{each.latency_ms.p50:.3f}", told)
    output.console.print(table)
