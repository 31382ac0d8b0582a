"""An artifact: files that one runtime runs, with the settings and the host that they need."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

Option = bool | int | float | str


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was done to the model: its precision, and the passes that it went through, in their order.

    ``how``: in a sentence, where the label doesn't say it all: which layers stayed in float.
    """

    precision: str = "fp32"
    passes: tuple[str, ...] = ()
    how: str = ""

    @property
    def label(self) -> str:
        """The precision and the passes: ``fp32``, ``int8``, ``int8-pruned``; ``pruned`` of what stayed float32."""
        return "-".join((self.precision, *self.passes) if self.precision != "fp32" or not self.passes else self.passes)

    @property
    def key(self) -> str:
        """The label, with a digest of how: variants of one label that were made otherwise differ in it."""
        return f"{self.label}-{hashlib.sha256(self.how.encode()).hexdigest()[:8]}" if self.how else self.label


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a runtime is to be opened. ``threads``: intra-op; 0 leaves it to the host (the cgroup's quota)."""

    threads: int = 1
    options: dict[str, Option] = {}


class HostContract(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a host must have: empty means any. ``isa``: CPU flags as Linux names them; ``packages``: name to version."""

    systems: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    isa: tuple[str, ...] = ()
    device: str = "cpu"
    packages: dict[str, str] = {}


class Adapter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the host does for a runtime with narrower inputs than the signature's.

    ``batch``: the one batch size that the artifact takes (0: any); bigger calls are cut, smaller ones padded.
    ``casts``: input name to the element type that the artifact takes instead.
    """

    batch: int = 0
    casts: dict[str, str] = {}


class Artifact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One runnable form of the model, in a folder of its own.

    ``main`` is the file to open, relative to that folder. ``inputs`` and ``outputs`` are the runtime's own names, in
    the signature's order; an input which the graph doesn't use may have been dropped: it has an empty name.
    """

    name: str
    target: str
    route: str
    main: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    variant: Variant = Variant()
    settings: Settings = Settings()
    host: HostContract = HostContract()
    adapter: Adapter = Adapter()


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How right an artifact is.

    ``max_abs_diff``: against eager in the model's own precision, over all samples and outputs.
    ``noise_ratio``: the artifact's error against float64, over eager's own.
    ``tolerance``: for each output the absolute difference from the golden outputs that the self-test allows.
    ``sizes``: the sizes of the dynamic dims that it was proven at.
    """

    right: bool
    max_abs_diff: float
    noise_ratio: float
    tolerance: tuple[float, ...] = ()
    sizes: tuple[dict[str, int], ...] = ()
    samples: int = 0
    accuracy: float | None = None
    agreement: float | None = None


Status = Literal["ok", "failed", "unverified", "unavailable", "skipped"]


class Attempt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A route that was tried and given up."""

    route: str
    reason: str
    op: str | None = None
    where: str | None = None
    hint: str | None = None


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The outcome for one target and variant, as ``ship --json`` and the report tell it.

    ``attempts`` are the routes that were given up before the one that was taken.
    """

    name: str
    target: str
    status: Status
    variant: str = "fp32"
    route: str | None = None
    reason: str | None = None
    op: str | None = None
    where: str | None = None
    hint: str | None = None
    attempts: tuple[Attempt, ...] = ()
