from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from report.reading import read
from torchship.cli.main import main
from torchship.digits.data import split


def test_json_says_where(digits_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "report.html"
    assert main(["report", str(digits_bundle), "-o", str(place), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"report": str(place), "size_bytes": place.stat().st_size}


def test_pictures_given_are_shown_with_their_answers(digits_bundle: Path, tmp_path: Path) -> None:
    held_out = split().held_out
    folder = tmp_path / "pictures"
    folder.mkdir()
    for place in range(3):
        Image.fromarray(held_out.images[place]).save(folder / f"{place}.png")
    (folder / "notes.txt").write_text("no picture")
    extra = tmp_path / "batch.npy"
    np.save(extra, held_out.batch()[3:5])
    place = tmp_path / "report.html"
    assert main(["report", str(digits_bundle), str(folder), str(extra), "-o", str(place)]) == 0
    figures = list(read(place.read_text(encoding="utf-8")).all("figure", class_="picture"))
    sources = [figure.one("div", class_="source").text for figure in figures]
    assert sources == ["0.png", "1.png", "2.png", "batch.npy", "batch.npy"]
    answers = [int(figure.one("div", class_="answer").text) for figure in figures]
    assert np.mean(np.array(answers) == held_out.labels[:5]) >= 0.8


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["nothing-there", "-o", "{out}/r.html"], 2, "there is nothing at"),
        (["{bundle}", "-o", "{out}"], 2, "is a folder"),
        (["{bundle}", "-o", "{out}/deep/r.html"], 2, "there is no folder"),
        (["{bundle}", "-o", "{bundle}/r.html"], 2, "an added file would break"),
        (["{bundle}", "-o", "{bundle}/artifacts/r.html"], 2, "an added file would break"),
        (["{bundle}", "{out}/none.png", "-o", "{out}/r.html"], 2, "there is no file"),
        (["{bundle}", "{out}/large.png", "-o", "{out}/r.html"], 3, "large.png is 40x30 pixels, the model takes 28x28"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_written(
    words: list[str], status: int, told: str, digits_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (40, 30)).save(tmp_path / "large.png")
    given = [word.format(bundle=digits_bundle, out=tmp_path) for word in words]
    assert main(["report", *given]) == status
    assert told in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["large.png"]
    assert main(["verify", str(digits_bundle)]) == 0


def test_changed_bundle_is_refused_and_the_older_page_stays(digits_bundle: Path, tmp_path: Path) -> None:
    bundle, page = tmp_path / "digits", tmp_path / "report.html"
    shutil.copytree(digits_bundle, bundle)
    page.write_text("older")
    model = next((bundle / "artifacts").rglob("*.onnx"))
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    assert main(["report", str(bundle), "-o", str(page)]) == 3
    assert page.read_text() == "older"


def test_older_page_is_replaced(digits_bundle: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("older")
    assert main(["report", str(digits_bundle), "-o", str(page)]) == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
