"""Which layer an artifact departs at: the artifact's inner values held against the model's own, layer by layer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import Tensor

from torchship.bundle.artifact import Artifact
from torchship.convert.capture import capture
from torchship.convert.layers import Key, Layer, answers_of, arguments_of, layers_of, place_of, probing, tensors_in
from torchship.models.eager import Widened, as_array, weights, widened
from torchship.models.model import Model
from torchship.signature import Signature, TensorSpec
from torchship.targets import Array, builder_of
from torchship.targets.adapter import open_session
from torchship.targets.builder import Captured, Form, Route
from torchship.targets.exposing import Exposer, exposer_of, leaving
from torchship.verify import Judge, Rounding, Sample
from torchship.verify.bisect import first_departure
from torchship.verify.parity import Finding
from torchship.worker.dropped import dropped_write
from torchship.worker.protocol import Bisect, Bisected

_LARGEST_TWIN = 500_000_000  # bytes
Answers = Mapping[Key, Sequence[Array]]


@dataclass
class Bisection:
    """Holds the layers of ``model`` against those of the artifact in ``job``, on the inputs that it is wrong on.

    ``again`` opens the source once more, for a float64 twin to measure rounding by.
    """

    job: Bisect
    model: Model
    capture: Callable[[], Captured]
    again: Callable[[], Model]
    inputs: list[Tensor]
    told: dict[int, str] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)

    def run(self) -> Bisected:
        """Find the first layer that departs."""
        if self._form is Form.SCRIPTED and (place := dropped_write(self.model.description.model)) is not None:
            told = f"TorchScript drops the write in place `{place.code}`"
            return Bisected(where=str(place), told=told, kind="in-place bitwise assignment")
        self.layers = layers_of(self.model.flat, self.inputs)
        with tempfile.TemporaryDirectory(prefix="torchship-bisect-") as folder:
            self.scratch = Path(folder)
            found = first_departure(len(self.layers), self._probe)
        if found is None:
            every = len(self.told) == len(self.layers)
            place = place_of(self.model.description.model) if every else None
            return Bisected(where=str(place) if place else None, layers=len(self.layers), compared=len(self.told))
        layer = self.layers[found]
        where = str(layer.place) if layer.place else None
        path = layer.path.removeprefix("model.") + (f" (call {layer.call + 1})" if layer.call else "")
        return Bisected(path, where, self.told[found], layer.kind, layer.training, len(self.layers), len(self.told))

    def _probe(self, asked: Sequence[int]) -> dict[int, bool]:
        """Which of the asked layers depart; those whose values can't be had are left out."""
        layers = [self.layers[each] for each in asked]
        made = self._made(layers)
        eager = answers_of(self.model.flat, self.inputs, layers)
        exact = self._exact(layers) or {}
        scale = max((_scale(array) for arrays in eager.values() for array in arrays), default=0.0)
        departs: dict[int, bool] = {}
        for place, layer in zip(asked, layers, strict=True):
            wrong = self._compared(eager.get(layer.key, []), exact.get(layer.key), made.get(layer.key, []), scale)
            if wrong is not None:
                self.told[place] = wrong
                departs[place] = bool(wrong)
        return departs

    def _compared(
        self, eager: Sequence[Array], exact: Sequence[Array] | None, made: Sequence[Array], scale: float
    ) -> str | None:
        """What is wrong with a layer's values (nothing: empty); None where none of them can be told apart."""
        candidates, pairs = list(made), []
        for place, mine in enumerate(eager):
            theirs = next((each for each in reversed(candidates) if _alike(mine, each)), None)
            if theirs is not None:
                candidates = [each for each in candidates if each is not theirs]
                pairs.append((mine, exact[place] if exact else None, theirs))
        if not pairs:
            return None
        for mine, true, theirs in pairs:
            judge = Judge(("it",), Rounding(self.job.epsilon, self.job.inside, (scale,)))
            if wrong := judge.add(Sample("", [mine], None if true is None else [true]), [theirs]):
                return _short(wrong[0])
        return ""

    @cached_property
    def _route(self) -> Route:
        return next(each for each in builder_of(self.job.target).routes if each.name == self.job.route)

    @property
    def _form(self) -> Form:
        return self._route.form

    def _made(self, layers: Sequence[Layer]) -> Answers:
        """What the artifact's own graph gives for the layers."""
        route = self._route
        if route.form is Form.SCRIPTED and exposer_of(self.job.target) is None:
            return self._replayed(layers)
        exposer = exposer_of(self.job.target)
        return self._exposed(exposer, layers) if exposer is not None else self._recaptured(route, layers)

    def _exposed(self, exposer: Exposer, layers: Sequence[Layer]) -> Answers:
        """By the converted graph with more outputs; a layer that is called several times can't be told there."""
        once = {layer.path: layer.key for layer in layers if self._called_once(layer)}
        into = Path(tempfile.mkdtemp(dir=self.scratch))
        exposed = exposer(self._captured, self.job.artifact, Path(self.job.folder), into, list(once))
        answers = self._answers(exposed.artifact, exposed.folder, self.job.signature)
        found = dict(zip(exposed.values, answers, strict=True))
        return {key: [found[value] for value in leaving(exposed.values, path)] for path, key in once.items()}

    def _called_once(self, layer: Layer) -> bool:
        return sum(each.path == layer.path for each in self.layers) == 1

    def _recaptured(self, route: Route, layers: Sequence[Layer]) -> Answers:
        """By capturing the model again, with the layers' outputs among its own."""
        folder = Path(tempfile.mkdtemp(dir=self.scratch))
        with probing(self.model, layers) as (probed, recorded):
            captured = capture(probed, route.form, self.job.signature)
            counts = {key: len(tensors) for key, tensors in recorded.tensors.items()}
        names = tuple(f"layer{place}" for place in range(sum(counts.values())))
        wider = _with_outputs(self.job.signature, names)
        given = Captured(captured.form, captured.value, captured.examples, wider, module=captured.module)
        artifact = builder_of(self.job.target).convert(given, route, self.job.artifact.variant, folder)
        answers = iter(self._answers(artifact, folder, wider))
        return {key: [next(answers) for _ in range(count)] for key, count in counts.items()}

    def _replayed(self, layers: Sequence[Layer]) -> Answers:
        """A scripted module takes no hooks: each of its submodules is given what the model's own is given."""
        scripted = self._captured.value
        with torch.no_grad():
            return {
                key: [
                    as_array(tensor)
                    for tensor in tensors_in(reduce(getattr, key[0].split("."), scripted)(*args, **kwargs))
                ]
                for key, (args, kwargs) in arguments_of(self.model.flat, self.inputs, layers).items()
            }

    @cached_property
    def _captured(self) -> Captured:
        return self.capture()

    @cached_property
    def _twin(self) -> Model | None:
        """The same model in float64; None where a second one is too big."""
        size = sum(tensor.numel() * tensor.element_size() for tensor in weights(self.model.flat).values())
        if size > _LARGEST_TWIN:
            return None
        twin = self.again()
        twin.flat.double()
        return twin

    def _exact(self, layers: Sequence[Layer]) -> Answers | None:
        """The layers in float64; None where the model can't."""
        if self._twin is None:
            return None
        try:
            with Widened():
                return answers_of(self._twin.flat, [widened(tensor) for tensor in self.inputs], layers)
        except Exception:  # noqa: BLE001 - whatever a model without float64 raises: it is done without
            return None

    def _answers(self, artifact: Artifact, folder: Path, signature: Signature) -> list[Array]:
        session = open_session(artifact, folder, signature, self.job.artifact.settings)
        try:
            arrays = [tensor.float() if tensor.dtype is torch.bfloat16 else tensor for tensor in self.inputs]
            return session.run([array.numpy() for array in arrays])[len(self.job.signature.outputs) :]
        finally:
            session.close()


def bisect(job: Bisect, open_model: Callable[[], Model], capture_it: Callable[[], Captured]) -> Bisected:
    """Do the job in this process: ``open_model`` opens its source, ``capture_it`` gives the form of its route."""
    model = open_model()
    with np.load(job.inputs, allow_pickle=False) as arrays:
        given = [torch.from_numpy(arrays[str(place)]) for place in range(len(arrays.files))]
    inputs = [tensor.to(like.dtype) for tensor, like in zip(given, model.examples, strict=True)]
    return Bisection(job, model, capture_it, open_model, inputs).run()


def _short(finding: Finding) -> str:
    off = finding.max_abs_diff
    return f"off by {off:.3g}" if np.isfinite(off) else (finding.wrong or "").removeprefix("it: ")


def _alike(mine: Array, theirs: Array) -> bool:
    """Whether the two may be the same value: bools and whole numbers travel in other types here and there."""
    return mine.shape == theirs.shape and (mine.dtype.kind in "fc") == (theirs.dtype.kind in "fc")


def _scale(array: Array) -> float:
    """The greatest value, infinities aside."""
    usual = np.abs(array[np.isfinite(array)]) if array.dtype.kind in "fc" else np.zeros(0)
    return float(usual.max()) if usual.size else 0.0


def _with_outputs(signature: Signature, names: Sequence[str]) -> Signature:
    """With further outputs of which only the names are told."""
    further = tuple(TensorSpec(name, "float32", ()) for name in names)
    return msgspec.structs.replace(signature, outputs=signature.outputs + further)
