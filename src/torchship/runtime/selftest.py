"""Runs a bundle's golden samples through a session, to see that the artifact is right on this host too."""

from __future__ import annotations

import numpy as np

from torchship.bundle import golden
from torchship.bundle.manifest import Shipped
from torchship.bundle.opening import Bundle
from torchship.errors import TorchshipError
from torchship.targets import Array, Session


class SelfTestError(TorchshipError):
    """The artifact answers differently on this host than where it was proven."""


def self_test(bundle: Bundle, shipped: Shipped, session: Session) -> None:
    """Raise SelfTestError where a golden output comes out differently, beyond the artifact's own tolerance."""
    signature = bundle.manifest.signature
    for path in bundle.manifest.golden:
        sample = golden.read(bundle.folder / path, signature)
        answers = session.run(sample.inputs)
        for index, (spec, want, got) in enumerate(zip(signature.outputs, sample.outputs, answers, strict=True)):
            tolerance = shipped.verdict.tolerance[index] if index < len(shipped.verdict.tolerance) else 0.0
            if why := difference(sample.settled(index, got), want, tolerance):
                raise SelfTestError(f"its answer to {path} is wrong on this host: {spec.name} {why}")


def difference(got: Array, want: Array, tolerance: float) -> str:
    """Say how ``got`` departs from ``want``; empty where it doesn't.

    NaN equals NaN; whole numbers must be equal, unless an artifact of reduced precision brings a tolerance.
    """
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"is {got.dtype}{list(got.shape)} instead of {want.dtype}{list(want.shape)}"
    if want.dtype.kind not in "fc":
        gap = np.abs(got.astype(np.float64) - want.astype(np.float64)).max(initial=0.0)
        return "" if np.array_equal(got, want) or 0.0 < gap <= tolerance else "differs"
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    with np.errstate(invalid="ignore"):  # inf - inf, which ``same`` answers
        off = np.where(same, 0.0, np.abs(got - want))
    worst = float(np.max(off, initial=0.0))
    return "" if worst <= tolerance else f"is off by {worst:.3g}, {tolerance:.3g} is allowed"
