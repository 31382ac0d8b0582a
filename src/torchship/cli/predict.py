"""``torchship predict``: a bundle's answer to files, stdin, or a folder of files."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchship.cli.output import Output
from torchship.errors import RefusedError, TorchshipError, UsageError

if TYPE_CHECKING:
    from torchship.runtime.many import Answered, Given
    from torchship.runtime.model import ShippedModel

HELP = "answer .png, .jpg, .npy, .npz or .json files (or a folder of them, or - for stdin) with a bundle"
_SUFFIXES = {".npy", ".npz", ".json", ".png", ".jpg", ".jpeg"}
_SHOWN = 20  # numbers of an output that a person is shown


def add(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("bundle", metavar="BUNDLE", help="a bundle, a .ship file, or a bare .onnx or TorchScript file")
    parser.add_argument("inputs", metavar="INPUT", nargs="+", help="files, folders, or - for stdin")
    parser.add_argument("--artifact", metavar="NAME", help="this artifact and no other")
    parser.add_argument("--target", metavar="NAME", help="the best artifact of this target")
    parser.add_argument(
        "--key", metavar="FILE.pub", action="append", help="must be signed by this key; may be repeated"
    )
    parser.add_argument("--tune", action="store_true", help="find the best number of threads at the first load here")
    parser.add_argument("--out", metavar="FILE.json", help="write the answers there instead of printing them")


def run(options: Namespace, output: Output) -> int:
    """Answer; one file's error is the command's, of several files' errors each is told and the last status is 3."""
    given = list(_given(options.inputs))
    out = _out(options.out)
    with _model(options, given) as model:
        for note in model.notes:
            output.note(note)
        if len(given) == 1:
            return _one(model, given[0], output, out)
        return _several(model, given, output, out)


def _model(options: Namespace, given: list[Given]) -> ShippedModel:
    """Load what was named; a bare TorchScript file is opened for the first input, in a process of its own."""
    from torchship.bundle.trust import check_trust
    from torchship.runtime import load
    from torchship.runtime.many import Given

    if _may_be_torchscript(options.bundle):
        from torchship.worker.torchscript import is_torchscript, load_torchscript

        path = Path(options.bundle)
        if is_torchscript(path):
            check_trust(path, options.key)
            first = given[0].read()
            given[0] = Given(given[0].name, lambda: first)
            return load_torchscript(path, first, given[0].name)
    return load(
        options.bundle, artifact=options.artifact, target=options.target, trusted_keys=options.key, tune=options.tune
    )


def _may_be_torchscript(path: str) -> bool:
    """Whether it is a zip archive and no bundle: a first look that costs nothing."""
    from torchship.bundle.archive import is_archive
    from torchship.formats.zips import is_zip

    place = Path(path)
    if not place.is_file():
        return False
    with place.open("rb") as file:
        return is_zip(file.read(4)) and not is_archive(place)


def _given(paths: Iterable[str]) -> Iterator[Given]:
    from torchship.runtime.many import Given

    for path in paths:
        place = Path(path)
        if path == "-":
            yield Given("-", sys.stdin.buffer.read)
        elif place.is_dir():
            yield from (Given(str(file), file.read_bytes) for file in _files(place))
        elif not place.exists():
            raise UsageError(f"there is no file {path}", hint="check the path")
        else:
            yield Given(path, place.read_bytes)


def _files(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())
    if not files:
        raise UsageError(f"{folder} holds nothing to answer", hint=f"files that end in {' '.join(sorted(_SUFFIXES))}")
    return files


def _out(name: str | None) -> Path | None:
    if name is None:
        return None
    if Path(name).is_dir() or not Path(name).resolve().parent.is_dir():
        raise UsageError(
            f"{name} can't be written: it is a folder, or lies in none that exists", hint="--out FILE.json"
        )
    return Path(name)


def _one(model: ShippedModel, given: Given, output: Output, out: Path | None) -> int:
    from torchship.runtime.many import answer_one

    answer = _answer(model, answer_one(model, given))
    result = {**answer, "artifact": model.artifact.name}
    _give(result, output, out)
    if not output.json and out is None:
        sys.stdout.write(_words(given.name, answer))
    return 0


def _several(model: ShippedModel, given: list[Given], output: Output, out: Path | None) -> int:
    from torchship.runtime.many import answer_all

    results: list[dict[str, Any]] = []
    failed = 0
    for answered in output.progress(answer_all(model, given), len(given), "predicting"):
        failed += answered.error is not None
        results.append(_row(model, answered, output))
        if answered.error is None and not output.json and out is None:
            sys.stdout.write(_words(answered.name, results[-1]))
    _give({"results": results, "artifact": model.artifact.name}, output, out)
    if failed:
        output.note(f"{failed} of {len(given)} inputs could not be answered")
    return RefusedError.exit_status if failed else 0


def _row(model: ShippedModel, answered: Answered, output: Output) -> dict[str, Any]:
    if answered.outputs is not None:
        return {"input": answered.name, **_answer(model, answered.outputs)}
    error = answered.error or TorchshipError("no answer")
    output.note(f"{answered.name}: {error}")
    return {"input": answered.name, "error": error.what}


def _answer(model: ShippedModel, outputs: dict[str, Any]) -> dict[str, Any]:
    from torchship.runtime.labels import label_of

    return {"outputs": outputs, "label": label_of(next(iter(outputs.values())), model.labels)}


def _give(result: dict[str, Any], output: Output, out: Path | None) -> None:
    if out is not None:
        output.write(result, out)
        result = {"out": str(out), "artifact": result["artifact"]}
    output.result(result)


def _words(name: str, answer: dict[str, Any]) -> str:
    """An answer for a person: the label, or as much of the outputs as can be taken in."""
    if answer["label"] is not None:
        return f"{name}: {answer['label']}\n"
    shown = [f"  {key} {list(array.shape)}: {_numbers(array)}\n" for key, array in answer["outputs"].items()]
    return f"{name}:\n{''.join(shown)}"


def _numbers(array: Any) -> str:
    flat = array.ravel()
    return " ".join(f"{number:.6g}" for number in flat[:_SHOWN]) + (" …" if flat.size > _SHOWN else "")
