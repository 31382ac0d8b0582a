"""``torchship ship SOURCE -o BUNDLE``: from a trained model to a proven, measured bundle."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from torchship.cli.output import Output
from torchship.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from torchship.models.source import PythonObject
    from torchship.pipeline.result import ArtifactResult, ShipResult

HELP = "convert, prove, measure and pack a trained model into a bundle"


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the contract."""
    parser.add_argument(
        "source", metavar="SOURCE", help="file.py:NAME, package.module:NAME, or a file of weights or a model"
    )
    parser.add_argument("-o", "--output", required=True, metavar="BUNDLE", help="folder (or .ship file) to write")
    parser.add_argument("--model", metavar="file.py:NAME", help="the architecture, where SOURCE holds weights alone")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="package.Class", help="a class that a pickled module may name"
    )
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME:DTYPE[DIM,…]",
        help="an example input, where the source has none",
    )
    parser.add_argument("--example", metavar="FILE.npz", help="example inputs, an array per input name")
    parser.add_argument(
        "--targets", default="server", metavar="LIST", help="names, TARGET:ROUTE, server, edge or all (default: server)"
    )
    parser.add_argument("--evaluate", metavar="F", help="labelled data (.npz with labels), or file.py:NAME")
    parser.add_argument(
        "--prune", metavar="R", help="share of the channels to take away; unstructured:R, or 2:4 for a pattern"
    )
    parser.add_argument("--train-data", metavar="F", help="labelled data for a short training after pruning")
    parser.add_argument(
        "--quantize",
        default="none",
        metavar="HOW",
        help="none, auto, or names with commas: int8, int8-dynamic, fp16, …",
    )
    parser.add_argument(
        "--calibration", metavar="F", help="typical inputs (.npz with an array per input), or file.py:NAME"
    )
    parser.add_argument("--max-drop", type=float, default=0.0, metavar="D", help="share of accuracy that may be lost")
    parser.add_argument("--max-latency-ms", type=float, metavar="X")
    parser.add_argument("--max-size-mb", type=float, metavar="Y")
    parser.add_argument(
        "--prefer", choices=("latency", "throughput", "size", "accuracy"), default="latency",
        help="what the choice goes by (default: latency)",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=float, default=600.0, metavar="S", help="seconds that one step of a conversion may take"
    )
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="conversions at once")


def run(options: argparse.Namespace, output: Output) -> int:
    """Ship; exit status 4 where no target could be made or none fits."""
    _needs_torch()
    from torchship.measure.choose import Constraints, Preference
    from torchship.models.source import parse
    from torchship.pipeline.options import ShipOptions, prune_option, quantize_option
    from torchship.pipeline.ship import ship_source

    if options.timeout <= 0 or options.jobs < 1:
        raise UsageError("--timeout and --jobs must be above zero")
    source = parse(
        options.source,
        model=options.model,
        inputs=tuple(options.input),
        example=options.example,
        allow=tuple(options.allow),
    )
    wanted = ShipOptions(
        Path(options.output),
        options.targets,
        _data("--evaluate", options.evaluate),
        Constraints(options.max_drop, options.max_latency_ms, options.max_size_mb, Preference(options.prefer)),
        options.timeout,
        options.jobs,
        quantize_option(options.quantize),
        prune_option(options.prune),
        _data("--train-data", options.train_data),
        _data("--calibration", options.calibration),
    )
    with output.err.status("starting") as status:
        result = ship_source(source, wanted, _teller(output, status.update))
    output.result(result)
    if not output.json:
        show(result, output)
    return 0


def _data(option: str, given: str | None) -> Path | PythonObject | None:
    from torchship.models.source import python_object

    if given is None:
        return None
    if (named := python_object(given)) is not None:
        return named
    if not Path(given).is_file():
        raise UsageError(f"no such file: {given}", where=option, hint="an .npz, or file.py:NAME")
    return Path(given)


def _teller(output: Output, update: Callable[[str], None]) -> Callable[[str, str], None]:
    def tell(who: str, what: str) -> None:
        if output.err.is_terminal and who != "note":
            update(f"{who}: {what}")
        else:
            output.err.print(f"{who}: {what}", markup=False)

    return tell


def _needs_torch() -> None:
    import importlib.util

    if importlib.util.find_spec("torch") is None:
        raise UnavailableError(
            "shipping a model needs torch, not installed here", hint="pip install 'torchship[build]'"
        )


def show(result: ShipResult, output: Output) -> None:
    """A table of the artifacts, and the choice."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("artifact", "status", "p50 ms", "size", "off by", "noise", "accuracy"):
        table.add_column(heading, justify="left" if heading in ("artifact", "status") else "right")
    eager = result.reference
    table.add_row("eager", "", f"{eager.latency_ms.p50:.3f}", "", "", "", _share(eager.accuracy), style="dim")
    for each in result.artifacts:
        table.add_row(*_cells(each), style="bold" if each.name == result.chosen else "")
    output.console.print(table)
    for each in result.artifacts:
        if each.reason:
            told = f"{each.name}: {each.reason}" + (f"\n  at: {each.where}" if each.where else "")
            output.console.print(told + (f"\n  do: {each.hint}" if each.hint else ""), markup=False)
    for each in result.artifacts:
        if each.how:
            output.console.print(f"{each.name}: {each.how}", markup=False)
    output.console.print(f"chosen: {result.why}", markup=False)
    output.console.print(f"bundle: {result.bundle}", markup=False)


def _cells(each: ArtifactResult) -> tuple[str, ...]:
    name = each.name + (f" ({each.route})" if each.route else "")
    if each.status != "ok":
        return name, each.status, "", "", "", "", ""
    assert each.latency_ms is not None
    return (
        name, each.status, f"{each.latency_ms.p50:.3f}", f"{(each.size_bytes or 0) / 1e3:,.0f} kB",
        f"{each.max_abs_diff:.1e}", f"{each.noise_ratio:.1f}" if each.agreement is None else "",
        _share(each.accuracy) or (f"{_share(each.agreement)} agree" if each.agreement is not None else ""),
    )  # fmt: skip


def _share(accuracy: float | None) -> str:
    return "" if accuracy is None else f"{accuracy:.2%}"
