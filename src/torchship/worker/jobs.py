"""What a worker does. torch is imported by the jobs that need it, so that a runtime is timed without it."""

from __future__ import annotations

import time
from functools import singledispatchmethod
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from torchship.errors import SourceError, TorchshipError, WorkerError
from torchship.measure.memory import resident_mb
from torchship.models.source import PythonObject
from torchship.targets import Array, Session, builder_of
from torchship.targets.adapter import open_session
from torchship.targets.builder import Captured, Form
from torchship.targets.passes import Calibration, Layered, Work, pass_of
from torchship.worker.protocol import (
    Bisect,
    Bisected,
    Convert,
    Converted,
    Derive,
    Handover,
    Job,
    Observe,
    Observed,
    Open,
    Opened,
    Prune,
    Pruned,
    Ran,
    Rank,
    Ranked,
    Run,
    Score,
    Scored,
    Time,
    Timed,
)


class Jobs:
    """Does jobs one after the other; keeps the artifact that was opened last."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._call_seconds: float | None = None
        self._artifact: Open | None = None

    def diagnose(self, error: BaseException) -> TorchshipError:
        """Say why the artifact that was opened last failed, with the user's line where its graph was kept."""
        from torchship.convert.diagnosis import Graph, diagnose

        opened = self._artifact
        if opened is None:
            return diagnose(error, "the work")
        graph = Graph.beside(Path(opened.folder))
        return diagnose(error, f"running {opened.artifact.name}", graph=graph, target=opened.artifact.target)

    @singledispatchmethod
    def do(self, job: Job) -> msgspec.Struct:
        """Do ``job``; give its answer."""
        raise WorkerError(f"unknown job {type(job).__name__}")

    @do.register
    def _observe(self, job: Observe) -> Observed:
        from torchship.models.open import open_source
        from torchship.models.recorder import Recorder
        from torchship.worker.watch import user_files, watch

        watch()
        model = open_source(job.source)
        evaluate = _given(job.evaluate, job.evaluate_file)
        calibration = _given(job.calibration, job.calibration_file)
        reference = Recorder(model, Path(job.folder)).record(job.name, evaluate, calibration, losing=job.losing)
        return Observed(reference, user_files())

    @do.register
    def _convert(self, job: Convert) -> Converted:
        import torch

        from torchship.convert.diagnosis import Graph, diagnose

        making = builder_of(job.target)
        route = next(each for each in making.routes if each.name == job.route)
        start = time.perf_counter()
        captured = _captured(job, route.form)
        graph = Graph.of(captured.value)  # now: what is written may be stripped of its lines
        try:
            with torch.no_grad():
                artifact = making.convert(captured, route, job.variant, Path(job.folder))
        except TorchshipError:
            raise
        except Exception as error:
            graph = graph.with_decomposed(captured.value)
            raise diagnose(
                error, f"converting to {job.target} ({job.route})", graph=graph, target=job.target
            ) from error
        graph.write(Path(job.folder))
        return Converted(artifact, time.perf_counter() - start)

    @do.register
    def _prune(self, job: Prune) -> Pruned:
        import copy

        from torchship.convert import handover
        from torchship.convert.prune import pruned
        from torchship.models.open import prepare
        from torchship.models.recorder import Recorder

        start = time.perf_counter()
        model, told = pruned(job.source, job.method, job.share, _given(job.train, job.train_file))
        again = prepare(copy.deepcopy(model.description), job.source)  # the recorder leaves it in float64
        reference = Recorder(again, Path(job.folder)).record(
            job.name, _given(job.evaluate, job.evaluate_file), _given(job.calibration, job.calibration_file)
        )
        handover.write(model, [Form(each) for each in job.forms], reference.signature, Path(job.written))
        return Pruned(reference, told, time.perf_counter() - start)

    @do.register
    def _derive(self, job: Derive) -> Converted:
        start = time.perf_counter()
        work = Work(job.artifact, Path(job.folder), _calibration(job.calibration), job.kept)
        made = pass_of(job.artifact.target, job.name).apply(work, job.variant, Path(job.out))
        return Converted(made, time.perf_counter() - start)

    @do.register
    def _rank(self, job: Rank) -> Ranked:
        found = pass_of(job.artifact.target, job.name)
        work = Work(job.artifact, Path(job.folder), _calibration(job.calibration))
        return Ranked(found.sensitive(work, job.seconds) if isinstance(found, Layered) else ())

    @do.register
    def _bisect(self, job: Bisect) -> Bisected:
        from torchship.models.open import open_source
        from torchship.worker.bisecting import bisect

        route = next(each for each in builder_of(job.target).routes if each.name == job.route)
        return bisect(job, lambda: open_source(job.source), lambda: _captured(job, route.form))

    @do.register
    def _open(self, job: Open) -> Opened:
        if self._session is not None:
            self._session.close()
        start = time.perf_counter()
        self._call_seconds, self._artifact = None, job
        self._session = open_session(job.artifact, Path(job.folder), job.signature, job.settings)
        return Opened(time.perf_counter() - start, resident_mb())

    @do.register
    def _run(self, job: Run) -> Ran:
        inputs = _read(job.inputs)
        start = time.perf_counter()
        outputs = self._answer(inputs, job.rows)
        seconds = time.perf_counter() - start
        np.savez(job.outputs, **{str(place): array for place, array in enumerate(outputs)})  # type: ignore[arg-type]
        return Ran(seconds)

    def _answer(self, inputs: list[Array], rows: int) -> list[Array]:
        session = self._opened()
        if rows == 0:
            return session.run(inputs)
        total = len(inputs[0])
        parts = [session.run([each[at : at + rows] for each in inputs]) for at in range(0, total, rows)]
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    @do.register
    def _score(self, job: Score) -> Scored:
        from torchship.models.openers import describe
        from torchship.models.openers.python import named
        from torchship.models.scoring import predictor, score

        judge = named(job.evaluate) if job.evaluate else describe(job.source).evaluate
        return Scored(score(judge, predictor(job.signature, self._opened().run)))

    @do.register
    def _time(self, job: Time) -> Timed:
        inputs, session = _read(job.inputs), self._opened()
        if self._call_seconds is None:  # the first call of a session allocates, compiles, or reads from disk
            session.run(inputs)
            self._call_seconds = _call_seconds(session, inputs)
        if self._call_seconds < job.warm_up:
            _repeat(session, inputs, job.warm_up, job.most)
        return Timed(tuple(_repeat(session, inputs, job.seconds, job.most)))

    def _opened(self) -> Session:
        if self._session is None:
            raise WorkerError("no artifact was opened")
        return self._session


def _given(object_: PythonObject | None, file: str | None) -> Any:
    """What the user named on the command line: an object, uncalled, or a file's path; None for neither."""
    from torchship.models.openers.python import named

    return named(object_) if object_ is not None else Path(file) if file else None


def _calibration(path: str | None) -> Calibration | None:
    return None if path is None else Calibration(Path(path))


def _read(path: str) -> list[Array]:
    """Arrays by place (``0``, ``1`` …)."""
    with np.load(path, allow_pickle=False) as arrays:
        return [arrays[str(place)] for place in range(len(arrays.files))]


def _captured(job: Convert | Bisect, form: Form) -> Captured:
    """Capture the source, or read the form that was handed over."""
    if form is Form.ONNX and job.onnx is not None:
        return Captured(form, Path(job.onnx), (), job.signature)
    from torchship.convert import handover
    from torchship.convert.capture import capture
    from torchship.models.open import open_source
    from torchship.models.state import weights_sha256

    if isinstance(job.source, Handover):
        return handover.read(Path(job.source.folder), form, job.signature)
    model = open_source(job.source)
    if weights_sha256(model) != job.weights_sha256:
        raise SourceError(
            "the source makes other weights each time that it is opened",
            hint="save the weights to a file, or seed the generator that they are drawn from",
        )
    return capture(model, form, job.signature)


def _repeat(session: Session, inputs: list[Array], seconds: float, most: int) -> list[float]:
    """Call for ``seconds``, once at least; give milliseconds a call."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or (len(times) < most and time.perf_counter() < end):
        start = time.perf_counter()
        session.run(inputs)
        times.append((time.perf_counter() - start) * 1e3)
    return times


def _call_seconds(session: Session, inputs: list[Array]) -> float:
    start = time.perf_counter()
    session.run(inputs)
    return time.perf_counter() - start
