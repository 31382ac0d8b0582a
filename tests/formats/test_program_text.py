"""The texts of a .pt2: real programs pass, whatever could be more than it says does not."""

from __future__ import annotations

import collections
import json
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from torchship.errors import MalformedError
from torchship.formats import program_text, recognise
from torchship.formats.expressions import is_guard, is_size

AUTO = torch.export.Dim.AUTO


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x - 1, (x,))


class Sizes(nn.Module):
    """Arithmetic with sizes, which ends up in expressions and guards."""

    def forward(self, x: Tensor, y: Tensor) -> Any:
        h, w = x.shape[-2:]
        padded = nn.functional.pad(x, (0, (8 - h % 8) % 8, 0, (w + 1) // 2))
        if h % 2 == 0 and h > y.shape[0]:
            padded = padded * int(h / 2)
        return padded, x.new_ones(max(h, w)), y[: y.shape[0] // 2], x.reshape(int(h**0.5), -1)


class Values(nn.Module):
    """Sizes that depend on values: symbols that no input has, with assertions whose texts have quotes."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        count = x.argmax().item()
        torch._check(count >= 0)
        torch._check(count < 100)
        return torch.zeros(count + 1) + x.sum(), x[x > 0]


class Structured(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.odd = nn.ParameterDict({"a-b c": nn.Parameter(torch.ones(2)), "x/y:z": nn.Parameter(torch.ones(2))})

    def forward(self, d: dict[str, Any], mode: str = "mean", far: float = float("inf")) -> Any:
        total = torch.einsum("i,i->i", d["x 1"][0], self.odd["a-b c"]).clamp(max=far)
        return collections.OrderedDict(a=total, b=[d["x 1"][1] * self.odd["x/y:z"], None])


def _programs() -> Iterator[tuple[str, nn.Module, tuple[Any, ...], dict[str, Any], Any]]:
    two = torch.randn(2)
    yield "branches", Branches(), (torch.randn(3, 4),), {}, ({0: AUTO},)
    yield "sizes", Sizes(), (torch.randn(16, 10), torch.randn(6)), {}, ({0: AUTO, 1: AUTO}, {0: AUTO})
    yield "values", Values(), (torch.randn(6),), {}, None
    yield "structured", Structured(), ({"x 1": (two, two)},), {"mode": "a b-c/d.e:[1]"}, None
    yield (
        "layers",
        nn.TransformerEncoderLayer(8, 2, batch_first=True),
        (torch.randn(2, 6, 8),),
        {},
        ({0: AUTO, 1: AUTO},),
    )
    yield "lstm", nn.LSTM(4, 5, bidirectional=True), (torch.randn(6, 2, 4),), {}, ({1: AUTO},)


@pytest.mark.parametrize("case", list(_programs()), ids=lambda case: case[0])
def test_real_programs_are_safe(case: Any, tmp_path: Path) -> None:
    name, module, args, kwargs, shapes = case
    path = tmp_path / f"{name}.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(module.eval(), args, kwargs, dynamic_shapes=shapes), path)
    assert recognise.look(path).reasons == ()


def test_what_torch_keeps_beside_a_program_is_known(tmp_path: Path) -> None:
    path = tmp_path / "p.pt2"
    program = torch.export.export(nn.Linear(2, 2).eval(), (torch.randn(2, 2),))
    torch.export.save(program, path, extra_files={"notes.txt": "kept"})
    assert recognise.look(path).reasons == ()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("p/models/evil.txt", "x")
    assert recognise.look(path).reasons == ("holds 'models/evil.txt', which no program has",)


@pytest.mark.parametrize(
    "text",
    [
        "Symbol('s77', positive=True, integer=True)",
        "Mul(Integer(2), Symbol('s0', positive=True, integer=True))",
        "FloorDiv(Add(Symbol('s0', integer=True), Integer(-1)), Integer(2))",
        "Max(Integer(1), Mod(Symbol('u0', integer=True), Integer(8)))",
        "Pow(Symbol('s0'), Integer(2))",
        "s0 + 2*s1",
        "Rational(1, 2)",
        "-int_oo",
    ],
)
def test_sizes(text: str) -> None:
    assert is_size(text)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('x')",
        "Symbol('a').__class__",
        "(lambda: 1)()",
        "[x for x in ()]",
        "Symbol(\"x' + evil + '\")",
        "L['x'].size()[0]",
        "open('x')",
        "s0 if s1 else s2",
        "Pow(Pow(Pow(Integer(10), Integer(99)), Integer(99)), Integer(99))",
        "10**10**10",
        "Pow(Integer(2), Symbol('s0'))",
        "f'{s0}'",
        "s0; s1",
        "(" * 3000 + "1" + ")" * 3000,
        "1+" * 30_000 + "1",
        "",
        "a" * 30_000,
    ],
)
def test_what_is_no_size(text: str) -> None:
    assert not is_size(text)


@pytest.mark.parametrize(
    "text",
    [
        "L['x'].size()[0] == 2",
        "(L['x'].size()[0] % 2) == 0",
        "L['d']['x 1'][0].size()[1] // 2 <= L['y'].size()[0]",
        "math.trunc(torch.sym_float(L['x'].size()[0]) ** 0.5) == 2",
        "not (L['x'].size()[0] > 3) and L['y'].stride()[0] == 1",
        "L['flat_args'][0].size()[0] >= 2",
    ],
)
def test_guards(text: str) -> None:
    assert is_guard(text)


@pytest.mark.parametrize(
    "text",
    [
        "L['x'].__class__",
        "L[evil()]",
        "L['x'].size()[0] == evil",
        "math.os.system('x')",
        "torch.load('x')",
        "torch.hub.load('x')",
        "L['x\" + evil + \"'].size()[0] == 2",
        "args[0].size()[0] == 2",
        "(x := 1)",
        "L['x'].numpy()",
    ],
)
def test_what_is_no_guard(text: str) -> None:
    assert not is_guard(text)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b'{"a": 1, "a": 2}', "a key stands twice"),
        (b'{"a": NaN}', "no number of JSON"),
        (b'{"a": ', "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
    ],
)
def test_json_has_one_meaning_or_none(raw: bytes, why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        program_text.parse(raw, "model.json")


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"name": "a b"}, "take for code"),
        ({"parameter_name": 'a"b'}, "take for code"),
        ({'a"b': 1}, "take for code"),
        ({"range_constraints": {"s0; x": {}}}, "take for code"),
        ({"metadata": {"stack_trace": "a\rimport os"}}, "take for code"),
        ({"target": "torch.ops.aten.from_file.default"}, "no model needs"),
        ({"target": "torch.ops.load_library"}, "no model needs"),
        ({"target": "torch.ops.higher_order.triton_kernel_wrapper_mutation"}, "no model needs"),
        ({"as_operator": "torch.os.system"}, "no model needs"),
        ({"as_custom_obj": {"name": "x"}}, "somebody else's"),
        ({"in_spec": "[2, {}]"}, "unknown protocol"),
        ({"out_spec": "no json"}, "can't be read"),
        ({"a": json.loads("[" * 300 + "]" * 300)}, "nested more than"),
    ],
)
def test_texts_that_are_more_than_they_say(document: Any, why: str) -> None:
    (reason, *_) = program_text.reasons(document)
    assert why in reason


def test_texts_that_are_what_they_say() -> None:
    document = {
        "name": "x_1", "target": "torch.ops.aten.add.Tensor", "arg": {"as_string": "on node 'lt_1'"},
        "metadata": {"stack_trace": 'File "/a b/c.py", line 3\n\tx = "y"'}, "parameter_name": "layers.0.weight",
        "in_spec": json.dumps([1, {"type": "builtins.dict", "context": '["x 1", 2]', "children_spec": []}]),
    }  # fmt: skip
    assert list(program_text.reasons(document)) == []
