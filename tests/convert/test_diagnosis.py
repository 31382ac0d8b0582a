"""Real models through the real tools, used as their own manuals say; what each raises is diagnosed."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.export import Dim

from convert import breakers
from torchship.convert.diagnosis import Graph, diagnose, first_sentence, witnessed
from torchship.errors import TorchshipError

pytestmark = pytest.mark.filterwarnings("ignore")

BATCH = Dim("batch", min=1, max=64)
TIME = Dim("time", min=1, max=64)
X = torch.arange(48.0).reshape(2, 6, 4) / 48 - 0.3


def exported(model: nn.Module, args: tuple[Any, ...] = (X,), dims: Any = None) -> torch.export.ExportedProgram:
    with witnessed():
        return torch.export.export(model, args, dynamic_shapes=dims, strict=False)


def told_of(call: Callable[[], object], graph: Graph | None = None, target: str = "") -> TorchshipError:
    try:
        call()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a tool raises
        return diagnose(error, "converting", graph=graph, target=target)
    raise AssertionError("it was to fail, and went well")


def check(error: TorchshipError, model: type[nn.Module], op: str | None, reason: str, hint: str) -> None:
    assert reason in error.what
    assert hint in (error.hint or "")
    assert error.where == breakers.blamed(model)
    assert error.op == op
    assert "\n" not in error.what
    assert not error.what.endswith("…")


@pytest.mark.parametrize(
    ("name", "op", "reason", "hint"),
    [
        ("Branch", "aten.is_nonzero", "`if x.sum() > 0:` branches on a tensor's values", "torch.where("),
        ("While", "aten.is_nonzero", "`while x.sum() < 10:` repeats as long as", "while_loop"),
        ("Item", "aten.item", "makes a Python number of a tensor's value", "keep it a tensor"),
        ("Turns", "aten.item", "`for _ in range(n):` loops as often as", "loop over a fixed number"),
        ("NonZero", "aten.nonzero", "the size of aten.nonzero's result", "torch.topk"),
        ("Mask", "aten.index.Tensor", "the size of aten.index.Tensor's result", "torch.where(mask, x, 0)"),
        ("Numpy", "numpy.tanh", "leaves torch", "custom_op"),
        ("Pointer", "x.data_ptr", "leaves torch", "custom_op"),
        ("Nested", "aten._nested_tensor_from_tensor_list", "torch.export can't follow", "pad to one length"),
        ("Storage", "aten.set_.source_Storage", "reaches for a tensor's storage", "views"),
        ("Exits", "raise", "called exit(3)", "raise an error instead"),
        ("Deep", "self.forward", "calls itself too deeply", "loop"),
    ],
)
def test_what_torch_export_refuses(name, op, reason, hint):
    model = getattr(breakers, name)
    check(told_of(lambda: exported(model().eval())), model, op, reason, hint)


def test_a_packed_sequence():
    error = told_of(lambda: exported(breakers.Packed().eval(), (X, torch.tensor([6, 3]))))
    check(error, breakers.Packed, "aten._pack_padded_sequence", "packed sequence", "torch.arange(time) < lengths")


@pytest.mark.parametrize(
    ("name", "dims", "op", "reason", "hint"),
    [
        ("Lstm", {1: TIME}, "aten.lstm.input", "over its length, which fixes time to 6", "script"),
        ("Loop", {1: TIME}, "for", "`for t in range(x.shape[1]):` is unrolled, which fixes time to 6", "scan"),
        ("Rows", {1: TIME}, "aten.unbind.int", "holds only where time is 6", "leave it out of dynamic_shapes"),
        ("PlainInt", {1: TIME}, "int", "`n = int(x.shape[1])` makes a plain number of a size", "without int()"),
        ("SizeBranch", {1: TIME}, "if", "`if x.shape[1] == 6:` branches on a size", "time fixed"),
        ("Reshaped", {0: BATCH}, "aten.reshape", "holds only where batch is 2", "-1 in reshape"),
        ("Halved", {1: TIME}, "aten.reshape", "time must be a multiple of 2", "pad the input to a multiple of 2"),
        ("AtLeast", {1: TIME}, "aten.avg_pool1d", "from 3 up to 64", "Dim('time', min=3, max=64)"),
        ("View", {1: TIME}, "aten.view", "views memory", ".reshape(…)"),
        ("Added", {1: TIME}, "aten.add.Tensor", "holds only where time is 6", "x.shape[…]"),
    ],
)  # fmt: skip
def test_sizes_that_a_capture_fixes(name, dims, op, reason, hint):
    model = getattr(breakers, name)
    check(told_of(lambda: exported(model().eval(), dims=(dims,))), model, op, reason, hint)


def test_two_dims_that_are_one():
    error = told_of(lambda: exported(breakers.Sum(), (X, X + 1), ({1: TIME}, {1: BATCH})))
    check(error, breakers.Sum, "aten.add.Tensor", "must be the same size", "the same torch.export.Dim object")


def test_dynamic_shapes_of_another_structure():
    error = told_of(lambda: exported(breakers.Median(), (X,), ({1: TIME}, {1: BATCH})))
    assert error.what == (
        "dynamic_shapes doesn't fit the model's inputs: `inputs` has 1 elements, but `dynamic_shapes` has 2 elements"
    )


@pytest.mark.parametrize(
    ("name", "op", "reason", "hint"),
    [
        ("Cummax", "aten.cummax", "has no rule for aten.cummax", "tril()"),
        ("Median", "aten.median.dim", "has no rule for aten.median.dim", "x.sort(dim)"),
        ("StableSort", "aten.sort.stable", "has no rule for aten.sort.stable", "without stable=True"),
        ("Solve", "aten._linalg_solve_ex", "has no rule", "compute it in __init__"),
        ("Searched", "aten.searchsorted.Tensor", "has no rule", "(edges < x.unsqueeze(-1)).sum(-1)"),
        ("Histogram", "aten.histc", "not for this call of it (aten_histc with min == max", "one_hot"),
    ],
)
def test_what_the_onnx_exporter_lacks(name, op, reason, hint):
    model = getattr(breakers, name)
    args = (X,) if name in ("Solve", "Histogram") else (X[0],)
    program = exported(model().eval(), args)
    error = told_of(lambda: torch.onnx.export(program, args, dynamo=True, verbose=False), target="onnx")
    check(error, model, op, reason, hint)


@pytest.mark.parametrize(
    ("name", "op", "reason", "hint"),
    [
        ("Fourier", "aten.fft_rfft", "has no rule for aten.fft_rfft", "DFT"),
        ("ShortFourier", "aten.stft", "complex", "DFT"),
        ("StableSort", "aten.sort.stable", "no stable sort", "without stable=True"),
        ("Mean", "aten.scatter_reduce", "no mean", "sum divided by counts"),
        ("OwnFunction", "prim.PythonOp", "autograd.Function", "plain functions"),
        ("Format", "aten.format", "has no rule for aten.format", "torchscript"),
    ],
)
def test_what_the_exporter_from_torchscript_lacks(name, op, reason, hint, tmp_path):
    model = getattr(breakers, name)
    scripted = torch.jit.script(model().eval())
    graph = Graph.of(scripted)
    error = told_of(lambda: torch.onnx.export(scripted, (X,), str(tmp_path / "x.onnx"), dynamo=False), graph)
    check(error, model, op, reason, hint)


@pytest.mark.parametrize(
    ("name", "op", "reason", "hint"),
    [
        ("Cummax", "aten.cummax", "OpenVINO has no rule for aten.cummax", "tril()"),
        ("Fourier", "aten._fft_r2c", "OpenVINO has no rule for aten._fft_r2c", "DFT"),
        ("Shift", "aten.__lshift__.Scalar", "OpenVINO has no rule", "x * 2**n"),
        ("Complex", "aten.abs", "complex numbers", "two real tensors"),
        ("Unique", "aten._unique2", "OpenVINO has no rule", "compare neighbours"),
        ("Searched", "aten.searchsorted.Tensor", "not for this call of it (Input with index: 2", "unsqueeze(-1)"),
    ],
)
def test_what_openvino_lacks(name, op, reason, hint):
    openvino = pytest.importorskip("openvino")
    model = getattr(breakers, name)
    program = exported(model().eval())
    graph = Graph.of(program).with_decomposed(program)
    check(told_of(lambda: openvino.convert_model(program), graph, "openvino"), model, op, reason, hint)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("HalfConv", "ONNX's Conv doesn't take bfloat16"),
        ("DoubleConv", "ONNX Runtime has no Conv for this element type"),
    ],
)
def test_element_types_that_onnx_runtime_lacks(name, reason, tmp_path):
    import onnxruntime

    model = getattr(breakers, name)
    program = exported(model().eval())
    torch.onnx.export(program, (X,), dynamo=True, verbose=False).save(str(tmp_path / "x.onnx"))
    error = told_of(lambda: onnxruntime.InferenceSession(str(tmp_path / "x.onnx"), _silent()), Graph.of(program))
    check(error, model, "aten.conv1d", reason, "x.float()")


def _silent():
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return options


NAMED = {
    "Import": "import",
    "Numpy": "numpy.tanh", "NumpyConstant": "numpy.sqrt", "Lambda": "self.act", "Untyped": "self.scaled",
    "PlainList": "for", "ToList": "tolist", "Turns": "for", "OldType": "x.type", "HalfConv": "bfloat16",
    "NoGrad": "aten.enable_grad",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "reason", "hint"),
    [
        ("StarArguments", "no *args", "spell the arguments out"),
        ("KeywordOnly", "no keyword-only defaults", "spell the arguments out"),
        ("Try", "doesn't know try blocks", "torch.jit.is_scripting()"),
        ("Import", "doesn't know import statements", "move it out of forward"),
        ("Numpy", "calls something that isn't torch", "torch or math"),
        ("NumpyConstant", "calls something that isn't torch", "compute it in __init__"),
        ("Lambda", "what is kept in self.act", "a method of the class"),
        ("NewAttribute", "self.last", "set self.last in __init__"),
        ("Untyped", "takes the argument n for a tensor", "n: int"),
        ("TwoReturns", "one type from every return, here Tuple[Tensor, Tensor] and Tensor", "same structure"),
        ("PlainList", "can't type self.layers", "nn.ModuleList"),
        ("ByNumber", "pick a layer by a number", "enumerate(self.layers)"),
        ("Global", "outside of the module (Tensor)", "a buffer"),
        ("ToList", "what tolist() gives", "list[float]"),
        ("Turns", "number of turns is an int", "range(int(n))"),
        ("OldType", "can't type `return x.type(torch.FloatTensor)`", "annotate"),
        ("HalfConv", "a Tensor has no bfloat16", "x.to(torch.bfloat16)"),
        ("NoGrad", "doesn't know aten::enable_grad", "move it out of forward"),
    ],
)
def test_python_that_torchscript_does_not_know(name, reason, hint):
    model = getattr(breakers, name)
    check(told_of(lambda: torch.jit.script(model().eval())), model, NAMED.get(name), reason, hint)


def test_a_class_without_source():
    space: dict[str, Any] = {"nn": nn, "__name__": "nowhere"}
    exec("class Typed(nn.Module):\n    def forward(self, x):\n        return x", space)
    error = told_of(lambda: torch.jit.script(space["Typed"]()))
    assert "reads the source" in error.what
    assert "ship file.py:NAME" in str(error.hint)


def test_what_a_trace_can_not_hold(tmp_path):
    text = told_of(lambda: torch.jit.trace(breakers.Text(), (X,)))
    assert text.what == "a trace gives tensors only, in lists, tuples and dicts"
    own = told_of(lambda: torch.jit.save(torch.jit.trace(breakers.OwnFunction(), (X,)), str(tmp_path / "x.pt")))
    check(own, breakers.OwnFunction, "prim.PythonOp", "Gradient is a torch.autograd.Function", "plain functions")
    unregistered = told_of(lambda: torch.jit.trace(breakers.PlainList(), (X,)))
    assert "a weight isn't registered" in unregistered.what


def test_a_named_tuple_in_a_pt2(tmp_path):
    from collections import namedtuple

    Pair = namedtuple("Pair", "a b")

    class Two(nn.Module):
        def forward(self, x):
            return Pair(x, x)

    error = told_of(lambda: torch.export.save(exported(Two()), str(tmp_path / "x.pt2")))
    assert error.what == f"torch can't write the structure of the named tuple {__name__}.Pair into a .pt2"
    assert "_register_namedtuple" in str(error.hint)


def test_an_operator_of_ones_own(tmp_path):
    @torch.library.custom_op("breakers::thrice", mutates_args=())
    def thrice(x: torch.Tensor) -> torch.Tensor:
        return x * 3

    class Own(nn.Module):
        def forward(self, x):
            return torch.ops.breakers.thrice(x)

    without = told_of(lambda: exported(Own()))
    assert without.op == "breakers.thrice"
    assert "register_fake" in str(without.hint)
    thrice.register_fake(torch.empty_like)
    error = told_of(lambda: torch.onnx.export(exported(Own()), (X,), dynamo=True, verbose=False))
    assert (error.op, error.hint) == ("breakers.thrice", error.hint)
    assert "an operator of one's own, which ONNX doesn't have" in error.what


@pytest.fixture(scope="module")
def baked(tmp_path_factory):
    """The same model by three routes, each of which fixed the length to 6."""
    folder = tmp_path_factory.mktemp("baked")
    model = breakers.Added().eval().requires_grad_(False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = exported(model)
        torch.onnx.export(program, (X,), dynamo=True, verbose=False).save(str(folder / "fixed.onnx"))
        traced = torch.jit.trace(model, (X,))
        torch.onnx.export(
            traced, (X,), str(folder / "free.onnx"), dynamo=False, input_names=["x"], dynamic_axes={"x": {1: "time"}}
        )
    return folder, program, traced


def test_sizes_that_an_artifact_refuses(baked):
    import onnxruntime

    folder, program, traced = baked
    longer = torch.zeros(2, 7, 4)

    def run(name):
        return onnxruntime.InferenceSession(str(folder / name), _silent()).run(None, {"x": longer.numpy()})

    fixed = told_of(lambda: run("fixed.onnx"))
    assert fixed.what == "the converter fixed axis 1 of x to 6, which was declared dynamic"
    assert "a size of the example is baked into the artifact" in told_of(lambda: run("free.onnx")).what
    check(told_of(lambda: traced(longer)), breakers.Added, None, "a size of the example is baked", "x.shape[…]")
    guarded = told_of(lambda: program.module()(longer))
    assert guarded.what == "the captured graph holds only for x.shape[1] == 6"


def test_an_index_past_the_end(tmp_path):
    traced = torch.jit.trace(breakers.Ids().eval(), (torch.tensor([1]),))
    check(
        told_of(lambda: traced(torch.tensor([7]))), breakers.Ids, "aten.embedding",
        "points past the end of its table", "clamp",
    )  # fmt: skip


def test_no_compiler():
    from torch._inductor import config
    from torch._inductor.cpp_builder import get_cpp_compiler

    with config.patch({"cpp.cxx": ("/nowhere/g++",)}):
        error = told_of(get_cpp_compiler)
    assert error.what == "AOTInductor compiles C++, and there is no C++ compiler on this machine"
    assert "apt install g++" in str(error.hint)


def test_code_that_does_not_compile(tmp_path):
    import subprocess

    from torch._inductor.exc import CppCompileError

    source = tmp_path / "kernel.cpp"
    source.write_text("int main() { return missing; }\n")

    def compile_it():
        done = subprocess.run(["g++", str(source), "-o", "/dev/null"], capture_output=True, text=True, check=False)
        raise CppCompileError(["g++", str(source)], done.stderr)

    error = told_of(compile_it)
    assert "AOTInductor's C++ doesn't compile: " in error.what
    assert "was not declared in this scope" in error.what


def test_too_little_memory_and_a_graph_too_big():
    error = told_of(lambda: torch.empty(1 << 55))
    assert error.what == "there was not enough memory for the conversion"
    assert type(error).__name__ == "WorkerError"


def test_listening_leaves_torchs_log_as_it_was():
    logger = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    before = (logger.level, logger.propagate, list(logger.handlers))
    told_of(lambda: exported(breakers.Branch()))
    assert (logger.level, logger.propagate, list(logger.handlers)) == before


def test_what_no_table_knows_is_told_in_the_tools_own_words():
    class OddError(Exception):
        pass

    def fail():
        raise OddError("The moon is not in the seventh house. " + "More of it. " * 60)

    error = told_of(fail)
    assert error.what.startswith("converting failed: OddError: The moon is not in the seventh house. More of it.")
    assert error.what.endswith("More of it.")
    assert len(error.what) < 340


INTERPRETED = """The following operation failed in the TorchScript interpreter.
Traceback of TorchScript, serialized code (most recent call last):
  File "code/__torch__/net.py", line 17, in forward
    x = torch.select(y)
        ~~~~~~~ <--- HERE

Traceback of TorchScript, original code (most recent call last):
net.py(8): forward
RuntimeError: Dimension out of range (expected to be in range of [-1, 0], but got 1)
"""


def test_the_interpreters_traceback_is_no_reason():
    told = "Dimension out of range (expected to be in range of [-1, 0], but got 1)"
    assert first_sentence(INTERPRETED) == told


def test_a_runtimes_own_lines_are_no_reason():
    text = (
        "Exception from src/inference/src/cpp/core.cpp:132:\nException from src/inference/src/dev/plugin.cpp:59:\n"
        "[CPU] Squeeze node with name 's' doesn't support the axis 2\n"
    )
    assert first_sentence(text) == "[CPU] Squeeze node with name 's' doesn't support the axis 2"
