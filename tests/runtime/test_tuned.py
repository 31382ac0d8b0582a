"""Settings that were found on this host are used; a first load may find them; none is taken to another host's."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

import torchship
from small_bundle import artifact, make_bundle, write_onnx
from torchship.bundle.artifact import Settings
from torchship.bundle.manifest import Latency
from torchship.cli.main import main
from torchship.measure import tuned
from torchship.measure.compare import Ratio
from torchship.runtime import loading


@pytest.fixture
def opened(monkeypatch):
    """The settings that sessions are opened with."""
    seen: list[Settings] = []
    plain = loading.open_session

    def remembering(artifact, folder, signature, settings):
        seen.append(settings)
        return plain(artifact, folder, signature, settings)

    monkeypatch.setattr(loading, "open_session", remembering)
    monkeypatch.setattr(loading, "cores", lambda: 2)
    return seen


@pytest.fixture
def bundle(digits_bundle):
    return digits_bundle


def _entry(name: str, settings: Settings, milliseconds: float) -> tuned.Entry:
    return tuned.Entry(name, settings, Latency(milliseconds, milliseconds), Ratio(1.0, 1.0, 1.0), 1)


def test_what_was_tuned_is_used_and_comes_first(bundle, opened, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHSHIP_CACHE", str(tmp_path))
    settings = Settings(1, {"graph_optimization": "extended", "arena": False})
    tuned.write(bundle, (_entry("exported", Settings(1), 0.1), _entry("onnx", settings, 0.2)))
    with torchship.load(bundle) as model:
        assert model.artifact.name == "exported"
    with torchship.load(bundle, artifact="onnx"):
        assert opened[-1] == settings
    with torchship.load(bundle, artifact="onnx", threads=2):
        assert opened[-1] == msgspec.structs.replace(settings, threads=2)


def test_tuning_at_the_first_load_is_kept(bundle, opened, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHSHIP_CACHE", str(tmp_path))
    with torchship.load(bundle, artifact="onnx", tune=True) as model:
        assert model(np.zeros((2, 1, 28, 28), np.uint8)).shape == (2, 10)
    assert tuned.read(bundle).find("onnx") is not None
    count = len(opened)
    with torchship.load(bundle, artifact="onnx", tune=True):
        assert len(opened) == count + 1


def test_tune_finds_settings_for_every_artifact_and_says_where_they_are_kept(bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TORCHSHIP_CACHE", str(tmp_path))
    assert main(["tune", str(bundle), "--seconds", "0.2", "--artifact", "onnx", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["artifact"] for each in told["tuned"]] == ["onnx"]
    assert told["tuned"][0]["tried"] >= 3
    assert told["kept"].startswith(str(tmp_path))
    assert main(["tune", str(bundle), "--seconds", "0", "--json"]) == 2


def test_more_threads_than_cores_are_never_opened(tmp_path, opened, monkeypatch):
    monkeypatch.setenv("TORCHSHIP_CACHE", str(tmp_path / "cache"))
    many = artifact(settings=Settings(64))
    made = make_bundle(tmp_path / "b", [(many, lambda folder: write_onnx(folder / "model.onnx"))])
    with torchship.load(made):
        assert opened[-1].threads <= 2
