"""Opens a model of ``models.py``, makes artifacts of it, and holds them against eager: the pipeline's steps."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from torchship.bundle.artifact import Artifact, Settings, Variant, Verdict
from torchship.convert.capture import capture
from torchship.models.model import Model
from torchship.models.open import open_source
from torchship.models.recorder import Recorder
from torchship.models.reference import Reference
from torchship.models.source import Source, parse
from torchship.signature import Signature
from torchship.targets import Array, Session, builder_of
from torchship.targets.adapter import open_session
from torchship.targets.builder import Captured, Form
from torchship.verify import Judge, Rounding, Sample

MODELS = Path(__file__).parent / "models.py"


@dataclass(frozen=True)
class Made:
    """An artifact and the folder that it lies in."""

    artifact: Artifact
    folder: Path

    @property
    def main(self) -> Path:
        return self.folder / self.artifact.main


@dataclass
class Specimen:
    """A model with its reference; what is made of it is kept."""

    source: Source
    reference: Reference
    folder: Path
    _made: dict[str, Made] = field(default_factory=dict)

    @property
    def signature(self) -> Signature:
        return self.reference.signature

    def open(self) -> Model:
        return open_source(self.source)

    def make(self, target: str, route: str) -> Made:
        """Convert by one route; raises what the capture or the converter raises."""
        name = f"{target}-{route}"
        if name not in self._made:
            builder = builder_of(target)
            chosen = next(each for each in builder.routes if each.name == route)
            folder = self.folder / name
            folder.mkdir(exist_ok=True)
            artifact = builder.convert(self._captured(chosen.form), chosen, Variant(), folder)
            self._made[name] = Made(artifact, folder)
        return self._made[name]

    def _captured(self, form: Form) -> Captured:
        if form is not Form.ONNX:
            return capture(self.open(), form, self.signature)
        for route in ("export", "script", "trace"):
            try:
                made = self.make("onnx", route)
                self.prove(made)
            except Exception:  # noqa: BLE001 - the next route is tried, as the pipeline does
                continue
            return Captured(form, made.main, (), self.signature)
        raise AssertionError("no right ONNX")

    def session(self, made: Made, settings: Settings | None = None) -> Session:
        return open_session(made.artifact, made.folder, self.signature, settings)

    def prove(self, made: Made) -> Verdict:
        """Hold it against eager on every fresh input; fails where it is wrong."""
        judge = Judge(
            tuple(spec.name for spec in self.signature.outputs), Rounding(self.reference.epsilon, self.reference.inside)
        )
        session = self.session(made)
        for files in self.reference.samples:
            answers = session.run(self.arrays(files.inputs))
            exact = self.arrays(files.exact) if files.exact else None
            wrong = judge.add(Sample(files.name, self.arrays(files.eager), exact, files.sizes), answers)
            if wrong:
                raise WrongError(f"on '{files.name}': {wrong[0].wrong}")
        session.close()
        return judge.verdict()

    def arrays(self, file: str) -> list[Array]:
        with np.load(self.folder / file) as arrays:
            return [arrays[str(place)] for place in range(len(arrays.files))]


Specimens = Callable[[str], Specimen]


def hashes_in_a_process(specimen: Specimen, target: str, route: str) -> str:
    """Make an artifact in a process of its own, as the pipeline does; give its files' hashes."""
    code = f"""
        import hashlib, sys, tempfile
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
        import msgspec
        from targets.specimens import Specimen
        from torchship.models.reference import Reference
        from torchship.models.source import parse
        reference = msgspec.json.decode({msgspec.json.encode(specimen.reference)!r}, type=Reference)
        with tempfile.TemporaryDirectory() as folder:
            made = Specimen(parse({specimen.source.text!r}), reference, Path(folder)).make({target!r}, {route!r})
            files = sorted(made.folder.iterdir())
            print(*(hashlib.sha256(path.read_bytes()).hexdigest() for path in files))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()[-1]


class WrongError(AssertionError):
    """An artifact that answers otherwise than eager."""


def pairs(handled: dict[str, str], quick: set[str]) -> list[Any]:
    """Each route of each model; those that aren't ``quick`` (``model-route``) are marked slow."""
    return [
        pytest.param(name, route, marks=[] if f"{name}-{route}" in quick else [pytest.mark.slow], id=f"{name}-{route}")
        for name, routes in handled.items()
        for route in routes.split()
    ]


def specimen(name: str, folder: Path) -> Specimen:
    """Open ``name`` of ``models.py`` and run it for its reference."""
    source = parse(f"{MODELS}:{name}")
    torch.manual_seed(0)
    reference = Recorder(open_source(source), folder).record(name)
    return Specimen(source, reference, folder)
