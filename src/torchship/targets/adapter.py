"""The host adapter: what is done around a runtime whose inputs are narrower than the signature's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from torchship.bundle.artifact import Artifact, Settings
from torchship.measure.cores import cores
from torchship.signature import BFLOAT16, Signature, numpy_dtype
from torchship.targets.registry import runner_of
from torchship.targets.runner import Array, Session


def open_session(artifact: Artifact, folder: Path, signature: Signature, settings: Settings | None = None) -> Session:
    """Open an artifact with its adapter, so that it takes whatever the signature declares.

    Raises:
        UnavailableError: a package that it needs is missing.
    """
    target = runner_of(artifact.target)
    target.needs.check(f"the artifact {artifact.name}")
    wanted = settings or artifact.settings
    session = target.open(artifact, folder, msgspec.structs.replace(wanted, threads=wanted.threads or cores()))
    if any(dtype != BFLOAT16 for dtype in artifact.adapter.casts.values()):
        session = Casting(session, signature, artifact.adapter.casts)
    if artifact.adapter.batch:
        session = FixedBatch(session, artifact.adapter.batch)
    return session


class Casting:
    """Gives the runtime the element types that it takes, and the caller those of the signature."""

    def __init__(self, session: Session, signature: Signature, casts: dict[str, str]) -> None:
        self._session = session
        self._inputs = [numpy_dtype(casts.get(spec.name, spec.dtype)) for spec in signature.inputs]
        self._outputs = [numpy_dtype(spec.dtype) for spec in signature.outputs]

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Cast, run, cast back."""
        cast = [array.astype(dtype, copy=False) for array, dtype in zip(inputs, self._inputs, strict=True)]
        answers = zip(self._session.run(cast), self._outputs, strict=True)
        return [array.astype(dtype, copy=False) for array, dtype in answers]

    def close(self) -> None:
        """Close the session within."""
        self._session.close()


class FixedBatch:
    """Cuts the batch (axis 0 of all tensors) into pieces of one size; the last is padded with its last row."""

    def __init__(self, session: Session, batch: int) -> None:
        self._session = session
        self._batch = batch

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Cut, pad, run each piece, join."""
        total = len(inputs[0])
        pieces = [self._piece(inputs, start) for start in range(0, total, self._batch)]
        return [np.concatenate(parts)[:total] for parts in zip(*pieces, strict=True)]

    def _piece(self, inputs: Sequence[Array], start: int) -> list[Array]:
        cut = [array[start : start + self._batch] for array in inputs]
        short = self._batch - len(cut[0])
        if short:
            cut = [np.concatenate([array, np.repeat(array[-1:], short, axis=0)]) for array in cut]
        return self._session.run(cut)

    def close(self) -> None:
        """Close the session within."""
        self._session.close()
