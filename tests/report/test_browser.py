"""The page in a real browser: what is asked for, what is seen, in light and dark, on a screen and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chromium import Page, chromium

pytestmark = pytest.mark.browser

COLOURS = "[document.body, document.querySelector('section')].map(e => getComputedStyle(e).backgroundColor)"
WIDTH = "[document.documentElement.scrollWidth, window.innerWidth]"
SHOWN = "[...document.querySelectorAll('svg')].filter(e => e.getBoundingClientRect().width).map(e => e.classList[0])"
LABELS = """[...document.querySelectorAll('svg text')].map(e => e.getBoundingClientRect()).filter(r => r.width)
    .map(r => [r.left, r.top, r.right, r.bottom])"""


@pytest.fixture(scope="module")
def tab(page_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("browser")) as found:
        found.show(1200)
        found.open(page_file)
        yield found


def test_nothing_is_asked_for_and_nothing_complains(tab: Page, page_file: Path) -> None:
    assert [url for url in tab.requests if not url.startswith("data:")] == [page_file.resolve().as_uri()]
    assert tab.complaints == []


def test_pictures_are_there(tab: Page) -> None:
    sizes = tab.evaluate("[...document.images].map(e => [e.naturalWidth, e.naturalHeight])")
    assert sizes
    assert all(size == [28, 28] for size in sizes)


def test_headline_and_matrix_are_seen(tab: Page) -> None:
    assert tab.evaluate("document.title") == "digits · torchship report"
    assert tab.evaluate("document.querySelector('h1').innerText") == "digits"
    assert tab.evaluate("document.querySelectorAll('.heat td').length") == 100
    assert tab.evaluate("document.querySelector('.lead').checkVisibility()") is True


def test_light_and_dark_are_two(tab: Page) -> None:
    tab.show(1200, scheme="light")
    light = tab.evaluate(COLOURS)
    tab.show(1200, scheme="dark")
    assert light == ["rgb(244, 246, 248)", "rgb(255, 255, 255)"]
    assert tab.evaluate(COLOURS) == ["rgb(13, 18, 24)", "rgb(21, 28, 37)"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out(tab: Page, scheme: str) -> None:
    """WCAG 2.2's contrast of 4.5 for every colour that words have, against the paper."""
    tab.show(1200, scheme=scheme)
    ratios = tab.evaluate("""(() => {
      const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
      const light = colour => {
        canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        const parts = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(v => v / 255)
          .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
      };
      const style = getComputedStyle(document.documentElement);
      const of = name => light(style.getPropertyValue(name).trim());
      const paper = of('--paper');
      return Object.fromEntries(['--ink', '--muted', '--good', '--fair', '--poor'].map(name => {
        const [low, high] = [of(name), paper].sort((a, b) => a - b);
        return [name, (high + 0.05) / (low + 0.05)];
      }));
    })()""")
    assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}


@pytest.mark.parametrize(("width", "kind"), [(1200, "wide"), (760, "wide"), (600, "narrow"), (360, "narrow")])
def test_fits_any_width(tab: Page, width: int, kind: str) -> None:
    tab.show(width)
    scrolled, inner = tab.evaluate(WIDTH)
    assert inner == width
    assert scrolled <= inner
    assert tab.evaluate(SHOWN) == [kind]


@pytest.mark.parametrize("width", [1200, 360])
def test_labels_of_the_chart_hide_no_other(tab: Page, width: int) -> None:
    tab.show(width)
    boxes = tab.evaluate(LABELS)
    assert len(boxes) > 8
    for at, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[at + 1 :]:
            across = min(right, other[2]) - max(left, other[0])
            down = min(bottom, other[3]) - max(top, other[1])
            assert across <= 2 or down <= 2
