"""What the page tells, drawn from a bundle's manifest and measurements; nothing here is formatted."""

from __future__ import annotations

from dataclasses import dataclass

from torchship.bundle.artifact import Attempt, Row, Settings, Status, Verdict
from torchship.bundle.manifest import Evaluation, Latency, Manifest, Measurements, Shipped


@dataclass(frozen=True)
class Figures:
    """What was found of an artifact that runs. ``latency`` is None for one that can't be run where it was shipped."""

    latency: Latency | None
    size_bytes: int
    verdict: Verdict
    settings: Settings
    convert_seconds: float


@dataclass(frozen=True)
class Line:
    """One line of the table: an artifact, or why there is none. ``how``: what was done to a variant, in a sentence."""

    name: str
    status: Status
    route: str | None
    precision: str
    chosen: bool
    front: bool
    how: str
    figures: Figures | None
    reason: str | None
    where: str | None
    op: str | None
    hint: str | None
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True)
class Eager:
    """The model as PyTorch runs it: what the others are held against."""

    latency: Latency | None
    accuracy: float | None


@dataclass(frozen=True)
class Choice:
    """The chosen artifact. ``times_faster``: eager's median over its own, both at the same batch size."""

    line: Line
    figures: Figures
    times_faster: float | None


@dataclass(frozen=True)
class Facts:
    """The whole of it. ``batch`` is the batch size of all latencies; 0 where the model has no batch."""

    choice: Choice
    eager: Eager
    lines: tuple[Line, ...]
    batch: int
    evaluation: Evaluation | None

    @property
    def slowest_ms(self) -> float:
        """The longest of all medians."""
        latencies = [line.figures.latency for line in self.lines if line.figures] + [self.eager.latency]
        return max((latency.p50 for latency in latencies if latency is not None), default=1.0) or 1.0

    @property
    def sizes(self) -> tuple[str, ...]:
        """For each dynamic dim the sizes that the chosen artifact was proven at, least first: ``batch 1, 3, 32``."""
        seen: dict[str, set[int]] = {}
        for sizes in self.choice.figures.verdict.sizes:
            for name, size in sizes.items():
                seen.setdefault(name, set()).add(size)
        return tuple(f"{name} {', '.join(map(str, sorted(sizes)))}" for name, sizes in seen.items())


def gather(manifest: Manifest, measurements: Measurements) -> Facts:
    """Put manifest and measurements together, the chosen artifact first, then as ``load`` tries them, then the rest."""
    batch = min((timing.batch for timing in measurements.timings if timing.name != "eager"), default=0)
    order = {shipped.artifact.name: place for place, shipped in enumerate(manifest.shipped)}
    rows = sorted(_rows(manifest), key=lambda row: order.get(row.name, len(order)))
    lines = tuple(_line(row, manifest, measurements, batch) for row in rows)
    evaluation = manifest.evaluation
    eager = Eager(_latency(measurements, "eager", batch), evaluation.accuracy if evaluation else None)
    return Facts(_choice(lines, eager), eager, lines, batch, evaluation)


def _rows(manifest: Manifest) -> tuple[Row, ...]:
    """The rows, and one for each shipped artifact that a manifest from elsewhere gives none."""
    told = {row.name for row in manifest.rows}
    untold = (shipped for shipped in manifest.shipped if shipped.artifact.name not in told)
    return (*manifest.rows, *(_row(shipped) for shipped in untold))


def _row(shipped: Shipped) -> Row:
    artifact = shipped.artifact
    return Row(artifact.name, artifact.target, shipped.status, artifact.variant.label, artifact.route)


def _choice(lines: tuple[Line, ...], eager: Eager) -> Choice:
    line = next(line for line in lines if line.chosen)
    assert line.figures is not None
    faster = None
    if eager.latency is not None and line.figures.latency is not None and line.figures.latency.p50 > 0:
        faster = eager.latency.p50 / line.figures.latency.p50
    return Choice(line, line.figures, faster)


def _line(row: Row, manifest: Manifest, measurements: Measurements, batch: int) -> Line:
    shipped = manifest.find(row.name)
    return Line(
        row.name,
        row.status,
        row.route,
        row.variant,
        row.name == manifest.chosen,
        row.name in manifest.front,
        shipped.artifact.variant.how if shipped is not None else "",
        _figures(shipped, measurements, batch) if shipped is not None else None,
        row.reason,
        row.where,
        row.op,
        row.hint,
        row.attempts,
    )


def _figures(shipped: Shipped, measurements: Measurements, batch: int) -> Figures:
    timing = measurements.best(shipped.artifact.name, batch)
    return Figures(
        timing.latency_ms if timing is not None else None,
        shipped.size_bytes,
        shipped.verdict,
        shipped.artifact.settings,
        timing.convert_seconds if timing is not None else 0.0,
    )


def _latency(measurements: Measurements, name: str, batch: int) -> Latency | None:
    timing = measurements.best(name, batch)
    return timing.latency_ms if timing is not None else None
