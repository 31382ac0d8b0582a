"""``torchship train digits``: from nothing to a trained net, on real digits."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchship.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from torchship.cli.output import Output
    from torchship.digits.data import Split
    from torchship.digits.evaluation import Evaluation
    from torchship.digits.training import Recipe, Step, Training

HELP = "train the worked example: a net that reads handwritten digits"


def add(parser: argparse.ArgumentParser) -> None:
    """Defaults are left open here: with ``--from`` they are the file's."""
    parser.add_argument("what", choices=["digits"], help="the worked example")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.pth", help="the file to write")
    parser.add_argument("--arch", choices=["cnn", "linear"], help="default: cnn")
    parser.add_argument("--from", type=Path, dest="start", metavar="FILE.pth", help="go on with the training of this")
    parser.add_argument("--loss", choices=["ce", "bce", "mse"], help="default: ce, cross-entropy")
    parser.add_argument("--optimizer", choices=["sgd", "adam"], help="default: adam")
    parser.add_argument("--epochs", type=_number(1, 10_000), help="default: 8; with --from, how many more")
    parser.add_argument("--seed", type=_number(0, 2**63 - 1), help="default: 0; fixes the weights bit for bit")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the four MNIST idx files, plain or .gz")


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(word: str) -> int:
        if not word.isascii() or not word.isdigit() or not least <= int(word) <= most:
            raise argparse.ArgumentTypeError(f"{word!r} is not a whole number from {least} to {most}")
        return int(word)

    return parse


@dataclass(frozen=True)
class _Outcome:
    training: Training
    epochs: int
    images: int
    left_out: int
    evaluation: Evaluation
    seconds: float


def run(options: argparse.Namespace, output: Output) -> int:
    """Train, write the file, and tell how well the net reads digits that it never saw."""
    _need_torch()
    from torchship.digits.checkpoint import save
    from torchship.digits.writing import check_destination

    check_destination(options.output)
    outcome = _train(options, output)
    save(outcome.training, options.output)
    output.result(_told(options, outcome))
    if not output.json:
        _show(options, output, outcome)
    return 0


def _need_torch() -> None:
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise UnavailableError("training needs torch", hint="pip install 'torchship[build]'") from error


def _train(options: argparse.Namespace, output: Output) -> _Outcome:
    from torchship.digits.data import without
    from torchship.digits.evaluation import evaluate
    from torchship.digits.training import EPOCHS, train

    training = _begin(options, output)
    split, embedded = _data(options.data)
    digits = without(split.train, embedded.held_out)
    if not len(digits):
        raise UsageError(
            f"every training image of {options.data} is one of the embedded held-out thousand",
            hint="those are never trained on: give others",
        )
    epochs = options.epochs or EPOCHS
    began = time.perf_counter()
    with _progress(output) as on_step:
        train(training, digits, epochs, on_step)
    seconds = time.perf_counter() - began
    evaluation = evaluate(training.net, training.preprocess, split.held_out)
    return _Outcome(training, epochs, len(digits), len(split.train) - len(digits), evaluation, seconds)


def _data(folder: Path | None) -> tuple[Split, Split]:
    """What was asked for, and the embedded digits."""
    from torchship.digits import data, idx

    return (data.split() if folder is None else idx.read_folder(folder)), data.split()


def _begin(options: argparse.Namespace, output: Output) -> Training:
    from torchship.digits import checkpoint
    from torchship.digits.training import Recipe, start

    if options.start is None:
        return start(_recipe(options, Recipe()))
    found = checkpoint.load(options.start)
    recipe = _recipe(options, found.recipe)
    if recipe.optimizer != found.recipe.optimizer:
        told = f"{recipe.optimizer} starts anew: {options.start} was trained with {found.recipe.optimizer}"
        output.err.print(told, markup=False, soft_wrap=True)
    return found.resume(recipe)


def _recipe(options: argparse.Namespace, default: Recipe) -> Recipe:
    asked = {name: getattr(options, name) for name in ("arch", "loss", "optimizer", "seed")}
    return replace(default, **{name: value for name, value in asked.items() if value is not None})


@contextmanager
def _progress(output: Output) -> Iterator[Callable[[Step], None] | None]:
    """A bar where stderr is a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    percent = TextColumn("{task.percentage:3.0f} %")
    columns = TextColumn("{task.description}"), BarColumn(), percent, TimeRemainingColumn()
    with Progress(*columns, console=output.err, transient=True) as bar:
        task = bar.add_task("training")

        def on_step(step: Step) -> None:
            told = f"epoch {step.epoch}  loss {step.loss:.3f}"
            bar.update(task, completed=step.done, total=step.total, description=told)

        yield on_step


def _told(options: argparse.Namespace, outcome: _Outcome) -> dict[str, Any]:
    recipe, evaluation = outcome.training.recipe, outcome.evaluation
    return {
        "file": str(options.output),
        "size_bytes": options.output.stat().st_size,
        "arch": recipe.arch,
        "loss": recipe.loss,
        "optimizer": recipe.optimizer,
        "seed": recipe.seed,
        "epochs": outcome.epochs,
        "epochs_in_all": outcome.training.epochs,
        "from": None if options.start is None else str(options.start),
        "data": "embedded" if options.data is None else str(options.data),
        "trained_on": outcome.images,
        "left_out": outcome.left_out,
        "held_out": evaluation.count,
        "accuracy": evaluation.accuracy,
        "confusion": evaluation.confusion,
        "seconds": round(outcome.seconds, 3),
    }


def _show(options: argparse.Namespace, output: Output, outcome: _Outcome) -> None:
    from rich.markup import escape

    recipe, evaluation, name = outcome.training.recipe, outcome.evaluation, escape(str(options.output))
    told = [recipe.arch, recipe.loss, recipe.optimizer, f"seed {recipe.seed}", _epochs(outcome)]
    told += [f"{outcome.images:,} images", f"{outcome.seconds:.1f} s"]
    show = output.console.print
    show(f"[dim]{' · '.join(told)}[/]")
    if outcome.left_out:
        show(f"[dim]left out {outcome.left_out:,} training images that are among the embedded held-out digits[/]")
    right = f"{evaluation.right:,} of {evaluation.count:,}"
    show(f"\nheld-out accuracy [bold green]{evaluation.accuracy:.1%}[/]  ({right})\n")
    show(_confusion(evaluation))
    bundle = escape(str(options.output.with_name(f"{options.output.stem}-bundle")))
    show(f"\nwrote [bold]{name}[/]  [dim]next: torchship ship {name} -o {bundle}[/]", soft_wrap=True)


def _epochs(outcome: _Outcome) -> str:
    before = outcome.training.epochs - outcome.epochs
    return f"{outcome.epochs} epoch{'s'[: outcome.epochs != 1]}" + (f" after {before}" if before else "")


def _confusion(evaluation: Evaluation) -> Table:
    """A row a digit, a column an answer; what never happened is a dot."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    table.add_column("digit ╲ answer", justify="right", style="dim")
    for digit in range(len(evaluation.confusion)):
        table.add_column(str(digit), justify="right", min_width=3)
    for digit, row in enumerate(evaluation.confusion):
        table.add_row(str(digit), *(_cell(int(count), right=digit == answer) for answer, count in enumerate(row)))
    return table


def _cell(count: int, *, right: bool) -> str:
    if not count:
        return "[dim]·[/]"
    return f"[{'green' if right else 'red'}]{count}[/]"
