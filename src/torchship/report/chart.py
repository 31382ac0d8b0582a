"""Latency, size and accuracy of the artifacts as one picture: SVG that takes its colours from the page."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from torchship.errors import UnavailableError
from torchship.report import words
from torchship.report.labelling import free_places

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# matplotlib knows no CSS variables: each of these colours stands for one, and is put in after drawing.
INK, MUTED, GRID, GOOD, FAIR, POOR, PAPER = (f"#01020{digit}" for digit in range(7))
_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "line", GOOD: "good", FAIR: "fair", POOR: "poor", PAPER: "paper"}
_FAIR_DROP = 0.01
_STEPS = (1, 2, 5)
_WHISKER = 2.0  # pixels that a whisker's line takes above and below

Kind = Literal["wide", "narrow"]
_INCHES: dict[Kind, tuple[float, float]] = {"wide": (9.2, 4.3), "narrow": (4.4, 4.6)}
_STYLE: dict[Any, object] = {
    "svg.fonttype": "none", "font.size": 10.5, "font.family": "sans-serif", "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED, "xtick.color": MUTED, "ytick.color": MUTED, "text.color": INK, "text.parse_math": False,
}  # fmt: skip


@dataclass(frozen=True)
class Point:
    """An artifact that ran. ``drop``: the accuracy that it lost against eager; None where none was measured.

    ``front``: no other beats it in all of what was measured.
    """

    name: str
    p50: float
    p99: float
    size_bytes: int
    accuracy: float | None = None
    drop: float | None = None
    chosen: bool = False
    front: bool = False

    @property
    def colour(self) -> str:
        """By the accuracy lost: none, up to a hundredth, more; none where it wasn't measured."""
        if self.drop is None:
            return MUTED
        return GOOD if self.drop <= 0 else FAIR if self.drop <= _FAIR_DROP else POOR

    @property
    def label(self) -> str:
        """Its name, and its accuracy where there is one."""
        return self.name if self.accuracy is None else f"{self.name} · {words.percent(self.accuracy)}"


def draw(points: Sequence[Point], eager_ms: float | None, kind: Kind) -> str:
    """Give an ``<svg>`` element: latency across, size up, both logarithmic; the whisker runs to p99.

    Raises:
        UnavailableError: matplotlib is missing.
    """
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UnavailableError("the report needs matplotlib", hint="pip install 'torchship[report]'") from error
    with mpl.rc_context({**_STYLE, "svg.hashsalt": kind}):
        figure = Figure(figsize=_INCHES[kind], layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        _scales(axes, points, eager_ms)
        _marks(axes, points, eager_ms)
        figure.draw_without_rendering()  # lays out, so that the labels' boxes are known
        _labels(axes, points)
        written = io.StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    return _as_element(written.getvalue(), kind)


def _scales(axes: Axes, points: Sequence[Point], eager_ms: float | None) -> None:
    latencies = [value for point in points for value in (point.p50, point.p99)] + ([eager_ms] if eager_ms else [])
    sizes = [float(point.size_bytes) for point in points]
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(*_range(latencies, 1.35))
    axes.set_ylim(*_range(sizes, 1.5))
    for axis, write in ((axes.xaxis, _tick_ms), (axes.yaxis, _tick_size)):
        _ticks(axis, write)
    axes.set_xlabel("latency, ms a call (dot: median, whisker: to p99)")
    axes.set_ylabel("size on disk")
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=6)


def _range(values: Sequence[float], margin: float) -> tuple[float, float]:
    """From below the least to above the greatest, on a logarithmic axis, and never so narrow that it has no ticks."""
    low, high = min(values) / margin, max(values) * margin
    widen = max(1.0, math.sqrt(6 * low / high))
    return low / widen, high * widen


def _ticks(axis: Any, write: Any) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = axis.get_view_interval()
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = _STEPS if high / low < 200 else _STEPS[:1]
    places = [step * 10.0**decade for decade in decades for step in steps]
    axis.set_major_locator(FixedLocator([place for place in places if low <= place <= high]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(write))


def _tick_ms(value: float, _place: int) -> str:
    return f"{value:,.10g}"


def _tick_size(value: float, _place: int) -> str:
    return words.size(round(value))


def _marks(axes: Axes, points: Sequence[Point], eager_ms: float | None) -> None:
    if eager_ms:
        axes.axvline(eager_ms, color=MUTED, linewidth=1.2, linestyle=(0, (4, 4)))
        axes.text(
            eager_ms,
            1.015,
            f"eager {words.milliseconds(eager_ms)}",
            transform=axes.get_xaxis_transform(),
            ha="center",
            color=MUTED,
        )
    front = sorted((point.p50, point.size_bytes) for point in points if point.front)
    if len(front) > 1:
        axes.plot(*zip(*front, strict=True), color=MUTED, linewidth=1, linestyle=(0, (1, 3)), zorder=1)
    for point in points:
        axes.plot([point.p50, point.p99], [point.size_bytes] * 2, color=point.colour, linewidth=2, alpha=0.45)
        axes.plot(
            point.p99, point.size_bytes, marker="|", markersize=9, markeredgewidth=2, color=point.colour, alpha=0.45
        )
        if point.chosen:
            axes.plot(
                point.p50, point.size_bytes, "o", markersize=19, color=point.colour, alpha=0.22, markeredgewidth=0
            )
        axes.plot(
            point.p50,
            point.size_bytes,
            "o",
            markersize=10,
            color=point.colour,
            markeredgecolor=PAPER,
            markeredgewidth=1.5,
        )


def _labels(axes: Axes, points: Sequence[Point]) -> None:
    at = [tuple(axes.transData.transform((point.p50, point.size_bytes))) for point in points]
    ends = [axes.transData.transform((point.p99, point.size_bytes)) for point in points]
    whiskers = [(x, y - _WHISKER, end[0], y + _WHISKER) for (x, y), end in zip(at, ends, strict=True)]
    texts = [
        axes.annotate(point.label, (point.p50, point.size_bytes), weight="bold" if point.chosen else "normal")
        for point in points
    ]
    boxes = [text.get_window_extent() for text in texts]
    frame = (axes.bbox.x0, axes.bbox.y0, axes.bbox.x1, axes.bbox.y1)
    places = free_places(at, [(box.width, box.height) for box in boxes], frame, whiskers)
    scale = 72 / axes.figure.dpi
    for text, (x, y), (left, bottom) in zip(texts, at, places, strict=True):
        text.set(position=((left - x) * scale, (bottom - y) * scale))
        text.set_anncoords("offset points")


def _as_element(svg: str, kind: Kind) -> str:
    """The element alone, ids of its own, colours of the page."""
    element = svg[svg.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{kind}-", element)
    for colour, variable in _VARIABLES.items():
        element = element.replace(colour, f"var(--{variable})")
    return element.replace("<svg ", f'<svg class="{kind}" aria-hidden="true" ', 1)
