"""What is left of a failure for the user to look into: a script that shows it without torchship, and the whole log.

It lies in ``OUTPUT.failures`` beside the bundle, which must hold no code and come out the same each time, and only as
long as something fails: the next ship to the same place takes it away.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from torchship.bundle.artifact import Row
from torchship.convert import reproduce
from torchship.errors import TorchshipError
from torchship.models.reference import SampleFiles
from torchship.models.source import Source
from torchship.pipeline.evidence import Evidence
from torchship.pipeline.proof import RefutedError
from torchship.pipeline.workshop import Workshop
from torchship.targets.builder import Form, Route

_FOLDER = "failures"  # below the store's
_INDEX = "failures.json"
_SCRIPT, _LOG, _ERROR = "reproduce.py", "log.txt", "error.json"
_LARGEST = 64_000_000  # bytes of a file that is copied for the script
_TOOLS = ("torch", "onnx", "onnxscript", "onnxruntime", "openvino", "numpy")


class Failed(msgspec.Struct, frozen=True):
    """``error.json``: one route's failure, and the versions of the tools that it came up with."""

    target: str
    route: str
    reason: str
    op: str | None
    where: str | None
    hint: str | None
    versions: dict[str, str]


class Index(msgspec.Struct, frozen=True):
    """``failures.json``: the rows; by it a folder is known to be ours to take away."""

    failures: tuple[Row, ...]


class Failures:
    """Collects failures while targets are made; ``publish`` puts those that matter beside the bundle."""

    def __init__(self, workshop: Workshop, source: Source | None, evidence: Evidence) -> None:
        self._workshop = workshop
        self._source = source
        self._evidence = evidence
        self._lock = threading.Lock()

    def add(self, target: str, route: Route, error: TorchshipError, onnx: Path | None = None) -> None:
        """Keep what is known of one route's failure; ``onnx`` is what it started from, where it started from ONNX."""
        folder = self._evidence.store.fresh_folder(_FOLDER, f"{target}-{route.name}")
        known = Failed(target, route.name, error.what, error.op, error.where, error.hint, _versions())
        (folder / _ERROR).write_bytes(msgspec.json.format(msgspec.json.encode(known)))
        (folder / _LOG).write_text(self._workshop.log(f"convert-{target}-{route.name}", f"prove-{target}-{route.name}"))
        sample = error.files if isinstance(error, RefutedError) else None
        text = reproduce.script(
            reproduce.Case(
                self._source, self._evidence.reference.signature, target, route, error.what, sample is not None
            )
        )
        if text is not None and self._supply(folder, route, sample, onnx):
            (folder / _SCRIPT).write_text(text)

    def _supply(self, folder: Path, route: Route, sample: SampleFiles | None, onnx: Path | None) -> bool:
        """Copy the files that the script reads; False where one is too big."""
        inputs = self._evidence.path((sample or self._evidence.reference.samples[0]).inputs)
        wanted = [(inputs, folder / reproduce.INPUTS)]
        if route.form is Form.ONNX and onnx is not None:
            wanted.append((onnx, folder / reproduce.ONNX))
        if any(path.stat().st_size > _LARGEST for path, _ in wanted):
            return False
        for path, copy in wanted:
            shutil.copyfile(path, copy)
        return True

    def publish(self, output: Path, rows: Sequence[Row]) -> dict[str, str]:
        """Put the failures of the failed ``rows`` beside ``output``; give each row's name its script's path.

        A folder that something else put there is left as it is.
        """
        folder = Path(f"{output}.failures")
        failed = [row for row in rows if row.status == "failed"]
        with self._lock:
            if folder.exists() and not (folder / _INDEX).is_file():
                return {}
            shutil.rmtree(folder, ignore_errors=True)
            if not failed:
                return {}
            folder.mkdir(parents=True)
            (folder / _INDEX).write_bytes(msgspec.json.format(msgspec.json.encode(Index(tuple(failed)))))
            return {row.name: told for row in failed if (told := self._copy(row, folder)) is not None}

    def _copy(self, row: Row, folder: Path) -> str | None:
        kept = self._evidence.store.folder / _FOLDER
        for route in _routes(row):
            name = f"{row.target}-{route}"
            if (kept / name).is_dir():
                shutil.copytree(kept / name, folder / name)
        best = folder / f"{row.target}-{row.route}"
        return next((str(best / name) for name in (_SCRIPT, _LOG) if (best / name).is_file()), None)


def _routes(row: Row) -> Iterator[str]:
    if row.route is not None:
        yield row.route
    yield from (attempt.route for attempt in row.attempts)


def _versions() -> dict[str, str]:
    installed = [name for name in _TOOLS if importlib.util.find_spec(name) is not None]
    return {name: importlib.metadata.version(name) for name in installed}
