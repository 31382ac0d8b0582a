from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchship.report.chart import FAIR, GOOD, MUTED, POOR, Point, draw
from torchship.report.labelling import free_places

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return ["".join(text.itertext()) for text in ET.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("kind", ["wide", "narrow"])
def test_every_point_and_tick_is_told(kind: str) -> None:
    points = [
        Point("onnx", 0.1, 0.2, 219_000, 0.982, 0.0, True),
        Point("onnx-int8", 0.06, 0.1, 61_000, 0.979, 0.003),
        Point("openvino", 0.11, 0.2, 225_000),
    ]
    svg = draw(points, 0.77, kind)  # type: ignore[arg-type]
    told = texts(svg)
    assert {"onnx · 98.2%", "onnx-int8 · 97.9%", "openvino", "eager 0.770", "100 kB", "0.1"} <= set(told)
    for variable in ("--good", "--fair", "--muted", "--paper", "--line"):
        assert f"var({variable})" in svg
    assert "var(--poor)" not in svg


def test_colour_is_the_accuracy_lost() -> None:
    drops = {None: MUTED, -0.1: GOOD, 0.0: GOOD, 0.01: FAIR, 0.011: POOR}
    assert {drop: Point("a", 1, 1, 1, 0.9, drop).colour for drop in drops} == drops


def test_hostile_name_stays_text() -> None:
    svg = draw([Point("<script>$x^2$</script>&", 1.0, 2.0, 1000)], None, "wide")
    assert "<script" not in svg
    assert "<script>$x^2$</script>&" in texts(svg)


@given(
    st.lists(st.tuples(st.floats(1e-4, 1e6), st.floats(1.0, 100.0), st.integers(1, 10**12)), min_size=1, max_size=6),
    st.none() | st.floats(1e-4, 1e6),
)
@settings(max_examples=15, deadline=None)
def test_any_figures_have_ticks(figures: list[tuple[float, float, int]], eager: float | None) -> None:
    points = [Point(f"p{at}", p50, p50 * more, size) for at, (p50, more, size) in enumerate(figures)]
    root = ET.fromstring(draw(points, eager, "narrow"))
    for axis in ("matplotlib.axis_1", "matplotlib.axis_2"):
        group = next(each for each in root.iter(f"{SVG}g") if each.get("id") == f"narrow-{axis}")
        assert len(list(group.iter(f"{SVG}text"))) >= 2


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 5)), min_size=1, max_size=12, unique=True))
def test_labels_hide_nothing_where_there_is_room(cells: list[tuple[int, int]]) -> None:
    points = [(100.0 + 160 * column, 60.0 + 90 * row) for column, row in cells]
    sizes = [(120.0, 14.0)] * len(points)
    places = free_places(points, sizes, (0, 0, 1400, 700))
    boxes = [(x, y, x + width, y + height) for (x, y), (width, height) in zip(places, sizes, strict=True)]
    assert all(left >= 0 and bottom >= 0 and right <= 1400 and top <= 700 for left, bottom, right, top in boxes)
    for one, other in combinations(boxes, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    for x, y in points:
        assert not any(left < x < right and bottom < y < top for left, bottom, right, top in boxes)
