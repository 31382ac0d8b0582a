"""To OpenVINO: by each route, in the precision of the weights, and run without torch."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import numpy as np
import pytest
from openvino.frontend import OpConversionFailure

from targets.specimens import Specimens, WrongError, hashes_in_a_process, pairs
from torchship.bundle.artifact import Settings
from torchship.convert.diagnosis import diagnose
from torchship.errors import InputError
from torchship.lowering.refusal import UnloweredError
from torchship.targets.openvino.library import core

_HANDLED = {
    "cnn": "export onnx script trace",
    "lstm": "onnx trace",
    "encoder": "export onnx trace",
    "embedding": "export onnx script trace",
    "two_by_two": "export onnx script trace",
    "dict_output": "export onnx trace",
    "branch": "onnx script",
    "loop": "onnx script",
    "shape_branch": "onnx script",
    "scatter_mean": "onnx script trace",
    "batch_statistics": "export onnx script trace",
    "half": "export onnx script trace",
    "brain": "export onnx script trace",
    "unused_input": "export onnx script trace",
    "passing": "onnx trace",
}
_QUICK = {
    "cnn-export", "cnn-trace", "lstm-onnx", "branch-script", "loop-onnx", "loop-script", "scatter_mean-trace",
    "brain-export", "unused_input-script", "passing-trace",
}  # fmt: skip


@pytest.mark.parametrize(("name", "route"), pairs(_HANDLED, _QUICK))
def test_each_route_is_right_on_fresh_values_and_sizes(specimens: Specimens, name: str, route: str) -> None:
    specimen = specimens(name)
    assert specimen.prove(specimen.make("openvino", route)).right


@pytest.mark.parametrize("name", ["branch", "loop", "shape_branch"])
def test_a_trace_that_bakes_something_in_is_seen_to_be_wrong(specimens: Specimens, name: str) -> None:
    specimen = specimens(name)
    with pytest.raises((WrongError, RuntimeError)):
        specimen.prove(specimen.make("openvino", "trace"))


def test_float64_is_refused_since_it_would_be_computed_in_float32(specimens: Specimens) -> None:
    with pytest.raises(UnloweredError, match="x is float64, which OpenVINO computes in float32") as caught:
        specimens("double").make("openvino", "export")
    told = diagnose(caught.value, "converting", target="openvino")
    assert "model.float()" in str(told.hint)
    assert told.op == "aten.linear"
    assert str(told.where).startswith("models.py:")


def test_answers_beyond_32_bits_are_seen_to_be_wrong(specimens: Specimens) -> None:
    specimen = specimens("big_integers")
    with pytest.raises(WrongError, match="eager gives"):
        specimen.prove(specimen.make("openvino", "export"))


def test_numbers_beyond_32_bits_are_refused(specimens: Specimens) -> None:
    specimen = specimens("embedding")
    session = specimen.session(specimen.make("openvino", "export"))
    with pytest.raises(InputError, match="input tokens holds whole numbers beyond 32 bits"):
        session.run([np.array([[1, 2**31]])])
    assert session.run([np.array([[1, 2]])])[1].dtype == np.int64


@pytest.mark.slow
def test_names_and_sizes_are_the_signatures(specimens: Specimens) -> None:
    model = core().read_model(str(specimens("encoder").make("openvino", "export").main))
    assert {sorted(port.get_names())[0]: str(port.get_partial_shape()) for port in (*model.inputs, *model.outputs)} == {
        "x": "[?,?,16]", "padding": "[?,?]", "output": "[?,?,3]",
    }  # fmt: skip


def test_bfloat16_is_carried_as_float32(specimens: Specimens) -> None:
    model = core().read_model(str(specimens("brain").make("openvino", "export").main))
    assert [port.get_element_type().get_type_name() for port in (*model.inputs, *model.outputs)] == ["f32", "f32"]


def test_weights_keep_their_precision(specimens: Specimens) -> None:
    specimen = specimens("cnn")
    folder = specimen.make("openvino", "export").folder
    weights = {each.get("element_type") for each in ET.parse(folder / "model.xml").iter("data") if each.get("offset")}
    assert "f16" not in weights
    made = specimen.make("openvino", "export").artifact
    assert made.settings.options == {"precision": "f32"}


def test_it_computes_in_float32_unless_the_settings_say_otherwise(specimens: Specimens) -> None:
    specimen = specimens("cnn")
    made = specimen.make("openvino", "export")
    session = specimen.session(made)
    compiled = session._compiled
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert compiled.get_property("NUM_STREAMS") == 1
    assert compiled.get_property("ENABLE_CPU_PINNING") is False
    two = specimen.session(made, Settings(2, made.artifact.settings.options))
    assert two._compiled.get_property("INFERENCE_NUM_THREADS") == 2


def test_the_file_holds_no_paths(specimens: Specimens) -> None:
    for route in ("export", "onnx", "trace"):
        made = specimens("cnn").make("openvino", route)
        text = made.main.read_text()
        assert str(Path(sys.prefix)) not in text
        assert str(made.folder.parent) not in text


@pytest.mark.slow
def test_the_same_model_gives_the_same_bytes(specimens: Specimens) -> None:
    """In two processes, as the pipeline makes them: OpenVINO counts its nodes through a process's life."""
    made = [hashes_in_a_process(specimens("two_by_two"), "openvino", "export") for _ in range(2)]
    assert made[0] == made[1]


def test_threads_do_not_mix_their_answers(specimens: Specimens) -> None:
    specimen = specimens("two_by_two")
    session = specimen.session(specimen.make("openvino", "export"))
    generator = np.random.default_rng(0)
    calls = [
        [generator.normal(size=(n, 4)).astype("f4"), generator.normal(size=(n + 1, 5)).astype("f4")]
        for n in range(1, 9)
    ]
    alone = [session.run(each)[0] for each in calls]
    wrong: list[bool] = []

    def ask(place: int) -> None:
        wrong.extend(not np.array_equal(session.run(calls[place])[0], alone[place]) for _ in range(40))

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrong) == 40 * len(calls)
    assert not any(wrong)


def test_answers_are_the_callers_own(specimens: Specimens) -> None:
    specimen = specimens("two_by_two")
    session = specimen.session(specimen.make("openvino", "export"))
    a, b = np.ones((2, 4), np.float32), np.ones((3, 5), np.float32)
    first = session.run([a, b])[0]
    kept = first.copy()
    session.run([a * 9, b * -7])
    assert np.array_equal(first, kept)
    first[:] = 0
    assert np.array_equal(session.run([a, b])[0], kept)


def test_read_only_arrays_are_taken(specimens: Specimens) -> None:
    specimen = specimens("cnn")
    session = specimen.session(specimen.make("openvino", "export"))
    image = np.zeros((1, 3, 16, 16), np.float32)
    image.flags.writeable = False
    assert session.run([image])[0].shape == (1, 5)


def test_it_runs_without_torch_and_keeps_to_itself(specimens: Specimens, tmp_path: Path) -> None:
    """In a process of its own: no torch, and nothing of OpenVINO's telemetry in the home folder."""
    specimen = specimens("cnn")
    made = specimen.make("openvino", "export")
    code = f"""
        import sys
        sys.modules["torch"] = None
        import msgspec, numpy as np
        from pathlib import Path
        from torchship.bundle.artifact import Artifact
        from torchship.targets import runner_of
        artifact = msgspec.json.decode({msgspec.json.encode(made.artifact)!r}, type=Artifact)
        session = runner_of("openvino").open(artifact, Path({str(made.folder)!r}), artifact.settings)
        print(session.run([np.zeros((2, 3, 16, 16), np.float32)])[0].shape)
        assert "openvino_telemetry" not in sys.modules
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True, text=True,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.stdout.strip() == "(2, 5)"
    assert list(tmp_path.iterdir()) == []


def test_a_loop_that_the_program_keeps_is_told(specimens: Specimens) -> None:
    with pytest.raises(OpConversionFailure, match="Conversion is failed for: scan") as caught:
        specimens("loop").make("openvino", "export")
    told = diagnose(caught.value, "converting", target="openvino")
    assert told.what.startswith("OpenVINO has no rule for scan, by which the program keeps a loop or a branch")
    assert told.op == "scan"
    assert "declare the length fixed" in str(told.hint)
