"""Records the reference: runs the model itself, on inputs that no capture sees, and writes down what came out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from torchship.bundle.manifest import Evaluation, Latency, Origin
from torchship.errors import SourceError
from torchship.models import batch, eager, state
from torchship.models.calibration import write_calibration
from torchship.models.contradictions import check_labels, check_sizes
from torchship.models.evaluation import LabelledData, evaluation_data
from torchship.models.model import Axes, Model
from torchship.models.outputs import Seen, dtype_name, floating_epsilon, output_names, output_specs
from torchship.models.precision import Coarsest
from torchship.models.reference import Reference, SampleFiles
from torchship.models.samples import FreshInput, example_for, fresh_inputs
from torchship.models.scoring import Judge, check_direction, predictor, score
from torchship.models.ties import Undecided, undecided
from torchship.signature import Dim, Signature, TensorSpec
from torchship.signature.tree import Constant
from torchship.verify import evaluate_scores

_CALIBRATION = "calibration.npz"
_SLICE = 100  # rows of labelled data a call
_SECONDS = 0.5  # of timing eager, for each number of threads
_CONSTANT = ("zero",)  # all elements the same: a normalisation leaves nothing but rounding, and a sort but ties


class Recorder:
    """Runs a model for its reference and writes what came out into ``folder``."""

    def __init__(self, model: Model, folder: Path) -> None:
        self.model = model
        self.folder = folder
        self.notes = list(model.notes)
        self._moves: dict[int, list[eager.Array]] = {}  # of samples by place: where float64 is right by luck
        self._unproven: dict[str, str] = {}
        self._chooses = True  # among elements, by an arg-max, a sort, a top-k; False as soon as it is seen not to
        self._ties: dict[int, Undecided] = {}  # likewise: what hangs on which of equal scores comes first

    def record(
        self, source_name: str, evaluate: Any = None, calibration: Any = None, *, losing: bool = False
    ) -> Reference:
        """Run everything; ``evaluate`` and ``calibration``, where they are given, take the place of the source's.

        ``losing``: variants that lose accuracy will be judged, so that it must be sure which way is up.
        """
        origin = self._origin(source_name)  # before anything runs: some models write into their own buffers
        axes, note = batch.propose(self.model)
        self.notes += [note] if note else []
        example = example_for(self.model, axes)
        with Coarsest() as coarsest:
            tree, tensors, paths = eager.call(self.model.flat, example)
        if not tensors:
            raise SourceError("the model gives no tensors back", hint="return at least one tensor from forward")
        self.notes += state.refuse_unrepeatable(self.model, example)
        inputs, answers = self._run(axes, tensors)
        names = output_names(tree, paths, self.model.description.output_names)
        seen = [
            Seen(self._sizes(each, axes), tuple(a.shape for a in answer))
            for each, answer in zip(inputs, answers, strict=True)
        ]
        signature = Signature(
            inputs=self._input_specs(example, axes),
            outputs=output_specs(names, tensors, seen),
            dims=_dims(axes),
            call=self.model.parameters,
            result=tree,
        )
        check_labels(self.model.description.labels, signature)
        self._note_constants(signature)
        latency = self._latency(inputs[0].tensors, signature)
        data = evaluation_data(self.model, self.model.description.evaluate if evaluate is None else evaluate)
        evaluation = self._evaluation(data, signature)
        if losing and callable(data) and evaluation is not None:
            check_direction(data, predictor(signature, self._answer), evaluation.accuracy)
        typical = self.model.description.calibration if calibration is None else calibration
        calibrated = self._calibration(typical, signature)
        samples = self._exact(inputs, answers, axes)
        return Reference(
            signature, origin, samples, latency, floating_epsilon([*example, *tensors]), coarsest.epsilon,
            self.model.description.labels, tuple(self.notes), evaluation,
            evaluate="evaluate.npz" if isinstance(data, LabelledData) else None, judged=callable(data),
            calibration=calibrated,
            native=tuple(form.value for form in self.model.description.native),
            closed={form.value: why for form, why in self.model.description.closed.items()},
            unproven=self._unproven,
        )  # fmt: skip

    def _run(self, axes: tuple[Axes, ...], expected: list[Tensor]) -> tuple[list[FreshInput], list[list[eager.Array]]]:
        """Run the fresh inputs; a drawn one that the model itself refuses is left out, and that is told."""
        inputs: list[FreshInput] = []
        answers: list[list[eager.Array]] = []
        refused: dict[str, tuple[str, str | None]] = {}
        for fresh in fresh_inputs(self.model, axes):
            try:
                fresh, answer = self._answered(fresh)  # noqa: PLW2901 - with the values that the model took
            except SourceError as error:
                if fresh.origin == "user":
                    raise
                why = f"{type(error.__cause__).__name__}: {error.__cause__}" if error.__cause__ else error.what
                refused[fresh.origin] = (why, error.where)
                self.notes.append(f"the model itself refuses the drawn input '{fresh.origin}': {why}")
                continue
            if len(answer) != len(expected):
                raise SourceError(
                    f"the model gives {len(answer)} tensors for the input '{fresh.origin}', not {len(expected)}",
                    hint="the structure of the result must not depend on the values of the inputs",
                )
            if not self._decided(fresh, answer, len(inputs)):
                continue
            if fresh.origin in _CONSTANT and inputs:
                self._moves[len(inputs)] = eager.sensitivity(self.model.flat, fresh.tensors, answer, inputs[0].tensors)
            inputs.append(fresh)
            answers.append(answer)
        if not inputs:
            raise SourceError(
                "the model refuses every input that was drawn in its example's range",
                hint="give inputs that it takes: 'fresh' in the source dict",
            )
        taken = [self._sizes(each, axes) for each in inputs]
        self._unproven = check_sizes(self.model, axes, taken, refused)
        return inputs, answers

    def _answered(self, fresh: FreshInput) -> tuple[FreshInput, list[eager.Array]]:
        """Eager's answer to the first of the input's tensors that the model takes."""
        try:
            return fresh, eager.run(self.model.flat, fresh.tensors)
        except SourceError:
            for tensors in fresh.instead:
                with suppress(SourceError):  # the first refusal is the one that is told
                    return replace(fresh, tensors=tensors), eager.run(self.model.flat, tensors)
            raise

    def _decided(self, fresh: FreshInput, answer: list[eager.Array], place: int) -> bool:
        """Note what hangs on ties; False where the sizes of the answer do, so that nothing can be held against it."""
        found = undecided(self.model.flat, fresh.tensors, answer) if self._chooses else None
        if found is None:
            self._chooses = False
            return True
        if found.sizes and place:
            self.notes.append(
                f"on the drawn input '{fresh.origin}' the answer hangs on which of equal scores comes first"
            )
            return False
        self._ties[place] = found.spread() if fresh.origin in _CONSTANT else found
        return True

    def _exact(
        self, inputs: list[FreshInput], answers: list[list[eager.Array]], axes: tuple[Axes, ...]
    ) -> tuple[SampleFiles, ...]:
        """Write the samples, each with its float64 answer. Comes last: the model is in float64 afterwards."""
        stand_ins: list[list[eager.Array]] | None = None
        probe = [tensor.clone() for tensor in inputs[0].tensors]
        dtype_kept = (
            {name: value.clone() for name, value in eager.weights(self.model.flat).items()}
            if _small(self.model)
            else None
        )
        exact = eager.Exact(self.model.flat)
        if exact.run(probe) is None and dtype_kept is not None:
            self._back(dtype_kept)
            stand_ins = [
                eager.nudged(self.model.flat, each.tensors, answer)
                for each, answer in zip(inputs, answers, strict=True)
            ]
            self.notes.append("the model doesn't run in float64: its noise was measured by nudging inputs and weights")
        files = []
        for place, (each, answer) in enumerate(zip(inputs, answers, strict=True)):
            true = stand_ins[place] if stand_ins else exact.run(each.tensors)
            if true is not None and place in self._moves:
                true = eager.noisier(answer, true, self._moves[place], answers[0])
            if place in self._ties:
                true = self._ties[place].told(answer, true)
            files.append(
                SampleFiles(
                    each.origin,
                    self._sizes(each, axes),
                    self._write(f"inputs{place}", [eager.as_array(tensor) for tensor in each.tensors]),
                    self._write(f"eager{place}", answer),
                    self._write(f"exact{place}", true) if true is not None else None,
                )
            )
        return tuple(files)

    def _back(self, kept: dict[str, Tensor]) -> None:
        for name, value in [*self.model.flat.named_parameters(), *self.model.flat.named_buffers()]:
            if name in kept:
                value.data = kept[name]

    def _write(self, name: str, arrays: list[eager.Array]) -> str:
        file = f"{name}.npz"
        np.savez(self.folder / file, **{str(place): array for place, array in enumerate(arrays)})  # type: ignore[arg-type]
        return file

    def _sizes(self, fresh: FreshInput, axes: tuple[Axes, ...]) -> dict[str, int]:
        return {
            dim.name: tensor.shape[axis]
            for tensor, dims in zip(fresh.tensors, axes, strict=True)
            for axis, dim in dims.items()
        }

    def _input_specs(self, example: tuple[Tensor, ...], axes: tuple[Axes, ...]) -> tuple[TensorSpec, ...]:
        return tuple(
            TensorSpec(
                name,
                dtype_name(tensor),
                tuple(dims[axis].name if axis in dims else size for axis, size in enumerate(tensor.shape)),
            )
            for name, tensor, dims in zip(self.model.names, example, axes, strict=True)
        )

    def _note_constants(self, signature: Signature) -> None:
        constants = [
            each.name for each in signature.call if isinstance(each.tree, Constant) and each.tree.value is not None
        ]
        if constants:
            self.notes.append(f"fixed at what the example gave: {', '.join(constants)}")

    def _origin(self, source_name: str) -> Origin:
        module = self.model.description.model
        return Origin(
            source=source_name,
            model=type(module).__name__,
            parameters=sum(parameter.numel() for parameter in module.parameters()),
            weights_sha256=state.weights_sha256(self.model),
            versions={"torch": str(torch.__version__), "numpy": np.__version__},
        )

    def _latency(self, inputs: tuple[Tensor, ...], signature: Signature) -> Latency:
        """Eager on one row where there is a batch, with one thread or torch's own count, whichever is quicker here."""
        batch = signature.batch
        if batch is not None and signature.dim(batch).min <= 1 and batch not in self._unproven:
            inputs = tuple(tensor[:1] for tensor in inputs)
        usual = torch.get_num_threads()
        try:
            measured = [self._latency_with(threads, inputs) for threads in sorted({1, usual})]
        finally:
            torch.set_num_threads(usual)
        return min(measured, key=lambda each: each.p50)

    def _latency_with(self, threads: int, inputs: tuple[Tensor, ...]) -> Latency:
        torch.set_num_threads(threads)
        times: list[float] = []
        end = time.perf_counter() + _SECONDS
        with torch.inference_mode():
            while len(times) < 3 or (time.perf_counter() < end and len(times) < 500):
                start = time.perf_counter()
                self.model.flat.call(inputs)
                times.append((time.perf_counter() - start) * 1e3)
        return Latency(float(np.quantile(times, 0.5)), float(np.quantile(times, 0.99)))

    def _evaluation(self, data: LabelledData | Judge | None, signature: Signature) -> Evaluation | None:
        if data is None:
            return None
        if not isinstance(data, LabelledData):
            return Evaluation(samples=0, accuracy=score(data, predictor(signature, self._answer)))
        parts = [
            eager.run(self.model.flat, [tensor[start : start + _SLICE] for tensor in data.inputs])[0]
            for start in range(0, len(data.labels), _SLICE)
        ]
        arrays: dict[str, npt.NDArray[Any]] = dict(
            zip(self.model.names, (eager.as_array(tensor) for tensor in data.inputs), strict=True)
        )
        np.savez(self.folder / "evaluate.npz", labels=data.labels, **arrays)  # type: ignore[arg-type]
        return evaluate_scores(np.concatenate(parts), data.labels)

    def _answer(self, arrays: Sequence[eager.Array]) -> list[eager.Array]:
        given = [
            torch.from_numpy(array).to(like.dtype) for array, like in zip(arrays, self.model.examples, strict=True)
        ]
        return eager.run(self.model.flat, given)

    def _calibration(self, given: Any, signature: Signature) -> str | None:
        if given is None:
            return None
        write_calibration(self.model, given, signature, self.folder / _CALIBRATION)
        return _CALIBRATION


def _dims(axes: tuple[Axes, ...]) -> tuple[Dim, ...]:
    """The dims that the inputs have, and those that these follow from."""
    found = {dim.name: dim for each in axes for dim in each.values()}
    return tuple((found | {dim.root: dim.origin for dim in found.values() if dim.root not in ("", *found)}).values())


def _small(model: Model) -> bool:
    """Whether a second copy of the weights is no matter (below 1 GB)."""
    size = sum(value.numel() * value.element_size() for value in eager.weights(model.flat).values())
    return int(size) < 1_000_000_000
