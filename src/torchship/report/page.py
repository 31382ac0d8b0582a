"""Fills the page's template. Whatever comes from a bundle is untrusted text and is escaped."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from torchship import __version__
from torchship.bundle.manifest import Measurements
from torchship.bundle.opening import Bundle, open_bundle
from torchship.errors import UnavailableError
from torchship.report import words
from torchship.report.answers import Extra, ask
from torchship.report.chart import Point, draw
from torchship.report.confusion import confusion
from torchship.report.facts import Facts, Line, gather

if TYPE_CHECKING:
    from jinja2 import Environment


def make_page(path: str | os.PathLike[str], extras: Sequence[Extra] = ()) -> str:
    """Give the page of the bundle at ``path``: one file that asks for nothing else, light and dark, for any width.

    The bundle is loaded and answers its golden calls; ``extras`` are pictures to be shown with their answers.

    Raises:
        UsageError, TamperedError, MalformedError: as ``open_bundle``.
        RefusedError: an extra input doesn't fit the model.
        UnavailableError: jinja2 or matplotlib is missing.
    """
    environment = _environment()
    with open_bundle(path) as bundle:
        facts = gather(bundle.manifest, bundle.measurements)
        return environment.get_template("page.html").render(
            facts=facts,
            manifest=bundle.manifest,
            charts=_charts(facts),
            confusion=confusion(bundle.manifest.evaluation, bundle.manifest.labels),
            answers=ask(path, bundle, extras),
            created=_created(bundle.measurements),
            host=bundle.measurements.host,
            files=_files(bundle),
            place=Path(path).name or str(path),
            version=__version__,
        )


def _environment() -> Environment:
    try:
        import jinja2
    except ImportError as error:
        raise UnavailableError("the report needs jinja2", hint="pip install 'torchship[report]'") from error
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(words.FILTERS)
    return environment


def _template(name: str) -> str:
    return resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


def _charts(facts: Facts) -> list[str]:
    """The picture for a wide page and for a narrow one. matplotlib has escaped what it wrote."""
    from markupsafe import Markup

    points = [_point(line, facts.eager.accuracy) for line in facts.lines]
    shown = [point for point in points if point is not None]
    eager = facts.eager.latency.p50 if facts.eager.latency else None
    return [Markup(draw(shown, eager, kind)) for kind in ("wide", "narrow")] if shown else []  # noqa: S704


def _point(line: Line, eager: float | None) -> Point | None:
    figures = line.figures
    if figures is None or figures.latency is None or min(figures.latency.p50, figures.size_bytes) <= 0:
        return None
    accuracy, latency = figures.verdict.accuracy, figures.latency
    drop = eager - accuracy if accuracy is not None and eager is not None else None
    return Point(line.name, latency.p50, latency.p99, figures.size_bytes, accuracy, drop, line.chosen, line.front)


def _created(measurements: Measurements) -> str:
    """The date for a person, in UTC; as it stands where it is none."""
    try:
        return f"{dt.datetime.fromisoformat(measurements.created):%-d %B %Y, %H:%M} UTC"
    except ValueError:
        return measurements.created


def _files(bundle: Bundle) -> tuple[int, int]:
    """How many files the bundle holds, and their bytes."""
    return len(bundle.manifest.files), sum(entry.size for entry in bundle.manifest.files)
