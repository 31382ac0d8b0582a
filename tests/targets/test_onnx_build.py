"""To ONNX: every route, what it is right for, and what is in the file."""

from __future__ import annotations

import onnx
import pytest
import torch
from onnx import TensorProto

from targets.specimens import Specimen, Specimens, WrongError, hashes_in_a_process, pairs
from torchship.errors import ConversionError
from torchship.targets.onnx import build

_HANDLED = {
    "denoiser": "export",
    "cnn": "export script trace",
    "lstm": "script trace",
    "encoder": "export",
    "embedding": "export script trace",
    "two_by_two": "export script trace",
    "dict_output": "export script trace",
    "branch": "script",
    "loop": "export script",
    "shape_branch": "script",
    "scatter_mean": "export",
    "batch_statistics": "export",
    "half": "export script trace",
    "brain": "export script trace",
    "double": "export script trace",
    "unused_input": "export script trace",
    "big_integers": "export script trace",
    "passing": "export script trace",
}
_QUICK = {
    "denoiser-export",
    "cnn-export", "cnn-trace", "lstm-script", "branch-script", "loop-script", "shape_branch-script",
    "scatter_mean-export", "brain-export", "brain-script", "unused_input-script", "passing-export", "passing-script",
}  # fmt: skip


@pytest.mark.parametrize(("name", "route"), pairs(_HANDLED, _QUICK))
def test_each_route_is_right_on_fresh_values_and_sizes(specimens: Specimens, name: str, route: str) -> None:
    specimen = specimens(name)
    assert specimen.prove(specimen.make("onnx", route)).right


@pytest.mark.parametrize("name", ["branch", "shape_branch"])
def test_a_trace_that_bakes_a_branch_in_is_seen_to_be_wrong(specimens: Specimens, name: str) -> None:
    specimen = specimens(name)
    made = specimen.make("onnx", "trace")
    with pytest.raises(WrongError, match="eager gives"):
        specimen.prove(made)


@pytest.mark.filterwarnings("ignore:The tensor attribute")  # an LSTM keeps its weights in a list too
def test_a_length_that_export_bakes_in_is_refused(specimens: Specimens) -> None:
    with pytest.raises(ConversionError, match="length"):
        specimens("lstm").make("onnx", "export")


@pytest.mark.slow
def test_names_and_dims_are_the_signatures(specimens: Specimens) -> None:
    specimen = specimens("encoder")
    graph = onnx.load(specimen.make("onnx", "export").main).graph
    assert {value.name: _dims(value) for value in (*graph.input, *graph.output)} == {
        "x": ["batch", "length", 16], "padding": ["batch", "length"], "output": ["batch", "length", 3],
    }  # fmt: skip
    assert not any("s77" in str(size) for value in graph.value_info for size in _dims(value))


def test_an_input_that_the_graph_does_not_use_has_no_name(specimens: Specimens) -> None:
    specimen = specimens("unused_input")
    assert specimen.make("onnx", "script").artifact.inputs == ("x", "")


def test_outputs_that_are_inputs_keep_both_names(specimens: Specimens) -> None:
    artifact = specimens("passing").make("onnx", "export").artifact
    assert artifact.inputs == ("x",)
    assert artifact.outputs == ("same", "twice", "again")


@pytest.mark.parametrize(("name", "route"), [("cnn", "export"), ("lstm", "script"), ("cnn", "trace")])
def test_nothing_of_the_machine_is_in_the_file(specimens: Specimens, name: str, route: str) -> None:
    path = specimens(name).make("onnx", route).main
    model = onnx.load(path)
    assert model.producer_name == "torchship"
    assert {each.key for each in model.metadata_props} == {"inputs", "outputs"}
    assert not any(node.doc_string or node.metadata_props for node in model.graph.node)
    raw = path.read_bytes()
    for word in (b".py", b"site-packages", str(path.parent).encode(), b"stack_trace"):
        assert word not in raw


def test_the_metadata_tells_the_signature(specimens: Specimens) -> None:
    model = onnx.load(specimens("two_by_two").make("onnx", "export").main)
    assert {each.key: each.value for each in model.metadata_props} == {
        "inputs": "a: float32 [rows, 4]; b: float32 [columns, 5]",
        "outputs": "output_0: float32 [rows, columns]; output_1: bool [rows]",
    }


@pytest.mark.slow
@pytest.mark.parametrize("route", ["export", "script"])
def test_the_same_model_gives_the_same_bytes(specimens: Specimens, route: str) -> None:
    made = [hashes_in_a_process(specimens("two_by_two"), "onnx", route) for _ in range(2)]
    assert made[0] == made[1]


def test_bfloat16_is_kept_in_the_file_and_computed_in_float32(specimens: Specimens) -> None:
    graph = onnx.load(specimens("brain").make("onnx", "export").main).graph
    assert {each.data_type for each in graph.initializer if each.dims} == {TensorProto.BFLOAT16}
    assert [value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)] == [TensorProto.FLOAT] * 2


def test_big_weights_lie_beside_the_graph(specimens: Specimens, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "INLINE_LIMIT", 1000)
    specimen = specimens("cnn")
    other = Specimen(specimen.source, specimen.reference, tmp_path)
    made = other.make("onnx", "export")
    assert sorted(path.name for path in made.folder.iterdir()) == ["model.onnx", "model.onnx.data"]
    for file in specimen.reference.samples:
        for name in (file.inputs, file.eager, file.exact):
            (tmp_path / name).write_bytes((specimen.folder / name).read_bytes())
    assert other.prove(made).right


def test_it_is_opened_without_graph_rewriting_where_that_was_wrong(specimens: Specimens) -> None:
    artifact = specimens("cnn").make("onnx", "export").artifact
    plainer = build.BUILDER.plainer(artifact)
    assert plainer is not None
    assert plainer.settings.options == {"graph_optimization": "disabled"}
    assert build.BUILDER.plainer(plainer) is None


def test_the_fast_path_of_attention_is_left_as_it_was(specimens: Specimens) -> None:
    before = torch.backends.mha.get_fastpath_enabled()
    specimens("lstm").make("onnx", "script")
    assert torch.backends.mha.get_fastpath_enabled() is before


def _dims(value: onnx.ValueInfoProto) -> list[str | int]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
