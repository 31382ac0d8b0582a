"""The reference as the parent uses it: samples read from their files when they are needed, never all at once."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from torchship.bundle.golden import Golden
from torchship.models.reference import Reference, SampleFiles
from torchship.pipeline.store import Store
from torchship.targets import Array
from torchship.verify import Rounding, Sample, usual_noise

FOLDER = "reference"  # below the store's
_GOLDEN_COUNT = 4
_GOLDEN_BYTES = 4_000_000
_GIVEN = ("example", "user")
_EXTREMES = ("zero", "low", "high", "large")


class Evidence:
    """A reference with the store that its files lie in."""

    def __init__(self, reference: Reference, store: Store, folder: str = FOLDER) -> None:
        self.reference = reference
        self.store = store
        self.folder = store.folder / folder

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs' names."""
        return tuple(spec.name for spec in self.reference.signature.outputs)

    def path(self, file: str) -> Path:
        """Where a file of the reference lies."""
        return self.folder / file

    def sample(self, files: SampleFiles) -> Sample:
        """Read a sample's answers."""
        exact = read_arrays(self.path(files.exact)) if files.exact else None
        return Sample(files.name, read_arrays(self.path(files.eager)), exact, files.sizes)

    @cached_property
    def rounding(self) -> Rounding:
        """What rounding may do, as the samples of usual values show it."""
        samples = [each for each in self.reference.samples if each.name not in _EXTREMES] or self.reference.samples
        answers = [self.sample(each) for each in samples]
        plain = Rounding(self.reference.epsilon, self.reference.inside)
        scales, noises = [], []
        for place, _ in enumerate(self.outputs):
            pairs = [(np.asarray(each.eager[place]), np.asarray((each.exact or each.eager)[place])) for each in answers]
            scales.append(float(np.median([_greatest(eager) for eager, _ in pairs])))
            noises.append(usual_noise([each for each in pairs if each[0].dtype.kind in "fc"], plain))
        return replace(plain, scales=tuple(scales), noises=tuple(noises))

    def golden(self, files: SampleFiles) -> Golden:
        """A sample as the bundle keeps it."""
        sample = self.sample(files)
        return Golden(tuple(read_arrays(self.path(files.inputs))), tuple(sample.eager), sample.undecided())

    @cached_property
    def golden_samples(self) -> tuple[SampleFiles, ...]:
        """The samples that go into the bundle: usual ones of small files, the user's own first, one at least."""
        usual = [each for each in self.reference.samples if each.name != "large"] or self.reference.samples
        telling = [each for each in usual if not self._tells_nothing(each)]
        weighed = sorted(telling or usual, key=self._bytes)
        kept, room = [weighed[0]], _GOLDEN_BYTES - self._bytes(weighed[0])
        for each in sorted(weighed[1:], key=lambda each: each.name not in _GIVEN):
            if len(kept) < _GOLDEN_COUNT and self._bytes(each) <= room:
                kept.append(each)
                room -= self._bytes(each)
        return tuple(kept)

    def _tells_nothing(self, files: SampleFiles) -> bool:
        """Whether rounding alone decides all of an output."""
        return any(mask is not None and mask.all() for mask in self.sample(files).undecided())

    def _bytes(self, files: SampleFiles) -> int:
        return self.path(files.inputs).stat().st_size + self.path(files.eager).stat().st_size


def _greatest(array: Array) -> float:
    if array.dtype.kind not in "fc":
        return 0.0
    return float(np.abs(array[np.isfinite(array)]).max(initial=0.0))


def read_arrays(path: Path) -> list[Array]:
    """Read arrays by place."""
    with np.load(path, allow_pickle=False) as arrays:
        return [arrays[str(place)] for place in range(len(arrays.files))]
