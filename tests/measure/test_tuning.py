"""Knob by knob to the quickest settings: what is refused is passed over, what only seems quicker isn't taken."""

from __future__ import annotations

import os
import random
from contextlib import contextmanager

import pytest

from torchship.bundle.artifact import Settings
from torchship.bundle.manifest import Latency
from torchship.measure import tuned
from torchship.measure.compare import Ratio
from torchship.measure.knobs import Knob, threads_knob, turned
from torchship.measure.tuning import tune

KNOBS = (threads_knob(4, spinning=True), Knob("level", ({"level": "all"}, {"level": "basic"})))


def _opening(milliseconds, opened=None):
    source = random.Random(3)

    @contextmanager
    def opening(settings):
        centre = milliseconds(settings)
        if opened is not None:
            opened.append(settings)
        yield lambda _seconds: [centre + source.gauss(0, 0.02) for _ in range(10)]

    return opening


def test_threads_go_by_powers_of_two_up_to_all_cores():
    assert [each["threads"] for each in threads_knob(6).positions] == [1, 2, 4, 6]
    assert threads_knob(1, spinning=True).positions == ({"threads": 1},)
    assert {"threads": 6, "spinning": True} in threads_knob(6, spinning=True).positions


def test_the_quickest_settings_are_found():
    def milliseconds(settings):
        return 4.0 / settings.threads + (0.5 if not settings.options.get("spinning") else 0) + (
            1.0 if settings.options.get("level") == "basic" else 0
        )  # fmt: skip

    found = tune(Settings(1), KNOBS, _opening(milliseconds), 1.0, pytest.fail)
    assert found.settings == Settings(4, {"spinning": True, "level": "all"})
    assert found.against.value == pytest.approx(1.0 / 4.5, rel=0.1)
    assert found.latency_ms.p50 == pytest.approx(1.0, rel=0.1)


def test_what_is_no_quicker_changes_nothing():
    found = tune(Settings(1, {"level": "all"}), KNOBS, _opening(lambda _settings: 1.0), 1.0, pytest.fail)
    assert found.settings == Settings(1, {"level": "all"})
    assert found.against.equal


def test_a_position_that_is_refused_is_passed_over():
    def milliseconds(settings):
        if settings.threads == 4:
            raise RuntimeError("no")
        return 1.0 / settings.threads

    refused = []
    found = tune(Settings(1), KNOBS[:1], _opening(milliseconds), 1.0, lambda settings, _: refused.append(settings))
    assert found.settings.threads == 2
    assert {each.threads for each in refused} == {4}


def test_turned_keeps_the_other_options():
    assert turned(Settings(2, {"precision": "f32"}), {"threads": 1, "pinning": True}) == Settings(
        1, {"precision": "f32", "pinning": True}
    )


def test_what_was_found_is_kept_by_bundle_and_host(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHSHIP_CACHE", str(tmp_path / "cache"))
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "manifest.json").write_text("{}")
    assert tuned.read(bundle) is None
    entry = tuned.Entry("onnx", Settings(2), Latency(1.0, 2.0), Ratio(0.5, 0.4, 0.6), 1)
    path = tuned.write(bundle, (entry,))
    assert tuned.read(bundle).find("onnx") == entry
    assert tuned.read(bundle).find("openvino") is None
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208
    (bundle / "manifest.json").write_text("{} ")
    assert tuned.read(bundle) is None
    (bundle / "manifest.json").write_text("{}")
    monkeypatch.setattr(tuned, "cpu_name", lambda: "another")
    assert tuned.read(bundle) is None
    monkeypatch.undo()
    path.write_text("no json")
    monkeypatch.setenv("TORCHSHIP_CACHE", str(tmp_path / "cache"))
    assert tuned.read(bundle) is None
