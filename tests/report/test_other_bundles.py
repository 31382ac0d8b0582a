"""Bundles that are not the digits': failures, hostile names, nothing measured, nothing that runs here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from report.reading import Element, read
from small_bundle import artifact, make_bundle, write_onnx
from torchship.bundle.artifact import Attempt, HostContract, Row
from torchship.bundle.manifest import Evaluation, Origin
from torchship.report import make_page

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"' {{ 7 * 7 }}"


def page_of(place: Path, **changes: Any) -> Element:
    return read(make_page(make_bundle(place / "small", **changes)))


def test_nothing_measured_is_no_reason_to_fail(tmp_path: Path) -> None:
    tree = page_of(tmp_path)
    assert tree.one("p", class_="lead").text == "onnx is chosen; it was not timed."
    assert not list(tree.all("svg"))
    assert not list(tree.all("section", id="confusion"))
    assert not list(tree.all("figure", class_="picture"))  # 4 by 6 pixels are none to look at


def test_what_failed_says_why_where_and_what_to_do(tmp_path: Path) -> None:
    rows = (
        Row("litert", "litert", "failed", reason="it broke", op="aten.view", where="net.py:31", hint="flatten",
            attempts=(Attempt("trace", "a loop was baked in", where="net.py:40"),)),
        Row("coreml", "coreml", "unavailable", reason="coremltools is missing", hint="pip install 'torchship[edge]'"),
        Row("onnx", "onnx", "ok", route="script", attempts=(Attempt("export", "the batch was baked in"),)),
    )  # fmt: skip
    table = page_of(tmp_path, rows=rows).one("table", class_="artifacts")
    names = [row.attributes["data-artifact"] for row in table.all("tr") if "data-artifact" in row.attributes]
    assert names == ["onnx", "litert", "coreml"]
    onnx, litert, coreml = (row.text for row in table.all("tr", class_="told"))
    assert onnx == "first tried export: the batch was baked in"
    assert litert == (
        "why it broke operator aten.view where net.py:31 what to do flatten "
        "also tried trace: a loop was baked in (net.py:40)"
    )
    assert coreml == "why coremltools is missing what to do pip install 'torchship[edge]'"


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    rows = (Row(HOSTILE, "x", "failed", reason=HOSTILE, where=HOSTILE, op=HOSTILE, hint=HOSTILE, route=HOSTILE),)
    labels = (HOSTILE, "bee", "cat")
    counts = ((5, 1, 0), (0, 6, 0), (0, 0, 6))
    bundle = make_bundle(
        tmp_path / "small", rows=rows, labels=labels, name=HOSTILE, why=HOSTILE,
        origin=Origin(HOSTILE, HOSTILE, 1, HOSTILE, {HOSTILE: HOSTILE}), evaluation=Evaluation(18, 17 / 18, counts),
    )  # fmt: skip
    page = make_page(bundle)
    tree = read(page)
    assert not list(tree.all("script"))
    assert all("onerror" not in element.attributes for element in tree.all())
    assert tree.one("h1").text == HOSTILE
    assert "{{ 7 * 7 }}" in page
    assert tree.one("section", id="origin").one("dd", class_="mono", title=HOSTILE)


def test_bundle_name_is_quoted_for_a_shell(tmp_path: Path) -> None:
    place = make_bundle(tmp_path / "it's; rm -rf $HOME")
    use = read(make_page(place)).one("section", id="use").text
    assert """torchship predict 'it'"'"'s; rm -rf $HOME' INPUT""" in use
    assert r"""torchship.load("it\u0027s; rm -rf $HOME")""" in use


def test_nothing_runs_here(tmp_path: Path) -> None:
    elsewhere = artifact(host=HostContract(systems=("Plan 9",)))
    tree = page_of(tmp_path, artifacts=[(elsewhere, lambda folder: write_onnx(folder / "model.onnx"))])
    assert "it runs on Plan 9, this is" in tree.one("section", id="proof").text


def test_many_classes_are_a_picture(tmp_path: Path) -> None:
    counts = np.diag(np.full(30, 9))
    counts[4, 7] = 3
    evaluation = Evaluation(int(counts.sum()), 0.99, tuple(map(tuple, counts.tolist())))
    section = page_of(tmp_path, evaluation=evaluation).one("section", id="confusion")
    assert section.one("img", class_="heat-picture").attributes["alt"] == "confusion matrix of 30 classes"
    assert [item.text for item in section.all("li")] == ["4 taken for 7 3\N{MULTIPLICATION SIGN}"]


@pytest.mark.parametrize("counts", [((1, 2), (3,)), ()])
def test_matrix_that_is_none_is_left_out(tmp_path: Path, counts: Any) -> None:
    tree = page_of(tmp_path, evaluation=Evaluation(6, 0.5, counts))
    assert not list(tree.all("section", id="confusion"))


def test_shipped_without_a_row_is_shown(tmp_path: Path) -> None:
    two = [(artifact(name), lambda folder: write_onnx(folder / "model.onnx")) for name in ("onnx", "onnx-int8")]
    tree = page_of(tmp_path, artifacts=two)
    assert tree.one("tr", data_artifact="onnx-int8").one("td", class_="left").text == "ok"
