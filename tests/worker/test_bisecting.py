"""Each way of looking into an artifact, on models that a converter makes another of: it blames the right layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from convert import wrong
from torchship.bundle.artifact import Artifact, Variant
from torchship.convert.capture import capture
from torchship.models.open import open_source
from torchship.models.recorder import Recorder
from torchship.models.source import parse
from torchship.targets import builder_of
from torchship.targets.builder import Captured, Form
from torchship.worker.bisecting import bisect
from torchship.worker.protocol import Bisect, Bisected

SOURCE = Path(__file__).parent.parent / "convert" / "wrong.py"
MINUS = np.full((3, 4), -1.0, np.float32)  # goes the way that the example, ones, does not

pytestmark = pytest.mark.filterwarnings("ignore")


def bisected(name: str, target: str, route: str, inputs: np.ndarray, folder: Path) -> Bisected:
    source = parse(f"{SOURCE}:{name}")
    torch.manual_seed(0)
    reference = Recorder(open_source(source), folder).record(name)
    builder = builder_of(target)
    chosen = next(each for each in builder.routes if each.name == route)

    def captured() -> Captured:
        if chosen.form is not Form.ONNX:
            return capture(open_source(source), chosen.form, reference.signature)
        by_trace = next(each for each in builder_of("onnx").routes if each.name == "trace")
        traced = capture(open_source(source), Form.TRACED, reference.signature)
        onnx = builder_of("onnx").convert(traced, by_trace, Variant(), folder)
        return Captured(Form.ONNX, folder / onnx.main, (), reference.signature)

    (folder / "made").mkdir()
    artifact: Artifact = builder.convert(captured(), chosen, Variant(), folder / "made")
    np.savez(folder / "given.npz", **{"0": inputs})
    job = Bisect(
        source, reference.signature, "", target, route, artifact, str(folder / "made"), str(folder / "given.npz"),
        reference.epsilon, reference.inside,
    )  # fmt: skip
    return bisect(job, lambda: open_source(source), captured)


@pytest.mark.parametrize(
    ("target", "route"),
    [("onnx", "trace"), ("openvino", "trace"), ("openvino", "onnx"), ("torchscript", "trace")],
)
def test_a_branch_that_a_trace_bakes_in(target, route, tmp_path):
    found = bisected("branching", target, route, MINUS, tmp_path)
    assert (found.path, found.kind) == ("layers.1.odd", "Branching")
    assert found.where == f"wrong.py:{wrong.Branching.forward.__code__.co_firstlineno} in forward"
    assert found.told == "off by 1.88"  # x - 1 in place of 2 x, where x is -2.88
    assert found.compared >= 2


def test_a_scripted_module_is_asked_layer_by_layer(tmp_path):
    found = bisected("scripted", "torchscript", "script", np.float32([[1, 2, 3, 4]] * 3), tmp_path)
    assert (found.path, found.kind) == ("layers.1.odd", "Scripted")


def test_what_departs_between_the_layers_is_the_models_own(tmp_path):
    found = bisected("at_the_top", "torchscript", "trace", MINUS, tmp_path)
    assert (found.path, found.layers, found.compared) == ("", 1, 1)
    assert found.where == f"wrong.py:{wrong.AtTheTop.forward.__code__.co_firstlineno} in forward"


def test_where_nothing_departs_no_layer_is_blamed(tmp_path):
    found = bisected("branching", "torchscript", "trace", np.ones((3, 4), np.float32), tmp_path)
    assert found.path == ""
    assert found.compared > 0
