"""What every artifact is held against: eager's answers on inputs that no capture sees, with its own rounding error.

Plain data, read by the parent, which never imports torch.
"""

from __future__ import annotations

import msgspec

from torchship.bundle.manifest import Evaluation, Latency, Origin
from torchship.signature import Signature


class SampleFiles(msgspec.Struct, frozen=True):
    """One sample: what it is, the dims' sizes, and ``.npz`` files of flat arrays by place (``0``, ``1`` …)."""

    name: str
    sizes: dict[str, int]
    inputs: str
    eager: str
    exact: str | None = None


class Reference(msgspec.Struct, frozen=True):
    """All that the build side learns from running the model itself. Paths are relative to its folder.

    ``evaluate``: an ``.npz`` with an array an input and ``labels``; ``judged``: the user's own function scores instead.
    ``epsilon``: the unit roundoff of its inputs and outputs; ``inside``: of the coarsest type that it computes in.
    ``native``: the forms that the source is in already; ``closed``: those that nothing leads to, with the reason.
    ``unproven``: the dims of which the model took no other size than the example's, each with what it said.
    """

    signature: Signature
    origin: Origin
    samples: tuple[SampleFiles, ...]
    latency: Latency
    epsilon: float
    inside: float
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    evaluation: Evaluation | None = None
    evaluate: str | None = None
    judged: bool = False
    calibration: str | None = None
    native: tuple[str, ...] = ()
    closed: dict[str, str] = {}
    unproven: dict[str, str] = {}
