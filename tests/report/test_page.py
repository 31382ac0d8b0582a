from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import torchship
from report.reading import read
from torchship.bundle import golden
from torchship.bundle.opening import open_bundle
from torchship.report import words
from torchship.report.facts import gather


def test_page_asks_for_nothing_else(page: str) -> None:
    tree = read(page)
    addresses = [e.attributes[key] for e in tree.all() for key in ("src", "href", "xlink:href") if key in e.attributes]
    assert addresses
    assert all(each.startswith(("data:", "#")) for each in addresses)
    assert not re.search(r"url\((?!#)", page)
    assert not list(tree.all("script"))
    policy = tree.one("meta", http_equiv="Content-Security-Policy").attributes["content"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_headline_is_the_choice(page: str, digits_bundle: Path) -> None:
    with open_bundle(digits_bundle) as bundle:
        facts = gather(bundle.manifest, bundle.measurements)
    lead = read(page).one("p", class_="lead").text
    assert facts.choice.figures.latency is not None
    assert lead.startswith(f"{bundle.manifest.chosen} is chosen")
    assert f"answers in {words.milliseconds(facts.choice.figures.latency.p50)} ms" in lead
    assert words.percent(facts.choice.figures.verdict.accuracy or 0) in lead
    assert "1,000 labelled samples" in lead


def test_each_artifact_has_its_figures(page: str, digits_bundle: Path) -> None:
    tree = read(page)
    with open_bundle(digits_bundle) as bundle:
        manifest, measurements = bundle.manifest, bundle.measurements
    assert [row.attributes["data-artifact"] for row in tree.all("tr") if "data-artifact" in row.attributes] == [
        shipped.artifact.name for shipped in manifest.shipped
    ]
    for shipped in manifest.shipped:
        cells = {
            cell.attributes["data-label"]: cell.text
            for cell in tree.one("tr", data_artifact=shipped.artifact.name).all("td")
            if "data-label" in cell.attributes
        }
        timing = measurements.best(shipped.artifact.name)
        assert timing is not None
        assert cells == {
            "status": "chosen" if shipped.artifact.name == manifest.chosen else "ok",
            "median ms": words.milliseconds(timing.latency_ms.p50),
            "p99 ms": words.milliseconds(timing.latency_ms.p99),
            "size": words.size(shipped.size_bytes),
            "off by": words.small(shipped.verdict.max_abs_diff),
            "noise": f"{words.ratio(shipped.verdict.noise_ratio)}\N{MULTIPLICATION SIGN}",
            "accuracy": words.percent(shipped.verdict.accuracy or 0),
            "runs with": words.settings(shipped.artifact.settings),
        }


def test_confusion_is_the_manifests(page: str, digits_bundle: Path) -> None:
    with open_bundle(digits_bundle) as bundle:
        evaluation = bundle.manifest.evaluation
    assert evaluation is not None
    rows = list(read(page).one("table", class_="heat").one("tbody").all("tr"))
    shown = tuple(tuple(int(cell.text) for cell in row.all("td")) for row in rows)
    assert shown == evaluation.confusion
    assert sum(map(sum, shown)) == 1000


def test_pictures_are_golden_ones_with_the_answers_of_load(page: str, digits_bundle: Path) -> None:
    expected = []
    with open_bundle(digits_bundle) as bundle, torchship.load(digits_bundle) as model:
        for name in bundle.manifest.golden:
            image = golden.read(bundle.folder / name, model.signature).inputs[0]
            answers = model(image)
            expected += [int(row.argmax()) for row, one in zip(answers, image, strict=True) if np.ptp(one)]
    figures = list(read(page).all("figure", class_="picture"))
    assert figures
    assert [int(figure.one("div", class_="answer").text) for figure in figures] == expected
    assert all(figure.one("div", class_="source").text == "as eager says" for figure in figures)
    assert all(figure.one("img").attributes["src"].startswith("data:image/png;base64,") for figure in figures)


def test_charts_are_inside_with_a_label_each(page: str, digits_bundle: Path) -> None:
    tree = read(page)
    for kind in ("wide", "narrow"):
        texts = [text.text for text in tree.one("svg", class_=kind).all("text")]
        with open_bundle(digits_bundle) as bundle:
            for shipped in bundle.manifest.shipped:
                assert f"{shipped.artifact.name} · {words.percent(shipped.verdict.accuracy or 0)}" in texts
    ids = [element.attributes["id"] for element in tree.all() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    assert "#01020" not in page


def test_golden_calls_are_run_again(page: str, digits_bundle: Path) -> None:
    with open_bundle(digits_bundle) as bundle:
        manifest = bundle.manifest
    rows = list(read(page).one("section", id="proof").one("tbody").all("tr"))
    assert [next(row.all("td")).text for row in rows] == [name.rpartition("/")[2] for name in manifest.golden]
    chosen = manifest.find(manifest.chosen)
    assert chosen is not None
    assert max(float(list(row.all("td"))[-1].text) for row in rows) <= chosen.verdict.tolerance[0]


def test_origin_host_and_use_are_told(page: str, digits_bundle: Path) -> None:
    with open_bundle(digits_bundle) as bundle:
        manifest, measurements = bundle.manifest, bundle.measurements
    tree = read(page)
    told = tree.one("section", id="origin").text
    for fact in (
        manifest.origin.source,
        manifest.origin.model,
        manifest.origin.versions["torch"],
        "image: uint8[batch",
    ):
        assert fact in told
    assert manifest.origin.weights_sha256[:16] in told
    assert str(measurements.host["machine"]) in told
    assert "torchship predict digits INPUT" in tree.one("section", id="use").text


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_missing_package_is_named_with_the_line_that_brings_it(
    package: str, digits_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchship.report import make_page

    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(torchship.errors.UnavailableError, match=package) as raised:
        make_page(digits_bundle)
    assert raised.value.hint == "pip install 'torchship[report]'"
