"""TorchScript's code: what it can reach is spelled out, and by known names."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from formats.harmful import edited, script
from torchship.errors import MalformedError
from torchship.formats import recognise, script_code, torchscript


class Talks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.operators = nn.Linear(4, 4)

    def forward(self, x: Tensor, names: dict[str, int]) -> Any:
        print("a \"quoted\" 'text' of torch.from_file", x.shape)  # noqa: T201 - what people leave in
        assert x.shape[0] > 0, "no rows: ' \n"
        ahead = torch.jit.fork(torch.relu, x)
        return self.operators(torch.ops.aten.relu(x)), torch.jit.wait(ahead)


def _modules() -> list[Any]:
    lstm = nn.Sequential(nn.Linear(4, 4), nn.LSTM(4, 4))
    return [Talks(), nn.TransformerEncoderLayer(8, 2), lstm, nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))]


@pytest.mark.parametrize("module", _modules(), ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("frozen", [False, True])
def test_real_archives_are_safe(module: nn.Module, frozen: bool, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.jit.script(module.eval())
        torch.jit.save(torch.jit.freeze(made) if frozen else made, str(tmp_path / "s.pt"))
    assert recognise.look(tmp_path / "s.pt").reasons == ()


def test_a_trace_tells_what_it_was_traced_with(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(nn.Linear(4, 3).eval(), torch.randn(2, 4)), str(tmp_path / "t.pt"))
    (given,) = torchscript.traced_inputs(tmp_path / "t.pt")
    assert (given.dtype, given.shape) == ("float32", (2, 4))
    assert recognise.look(tmp_path / "t.pt").reasons == ()
    assert torchscript.traced_inputs(script(tmp_path)) == ()


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("x = torch.from_file(y)", "uses from_file, which reads or writes files"),
        ("x = torch . from_file(y)", "uses from_file"),
        ("f = x.save", "uses save"),
        ("t = torch\n", "hands torch around"),
        ("f(torch, 1)", "hands torch around"),
        ("o = ops\n", "hands ops around"),
        ("o = ops.aten\n", "hands ops around"),
        ("o = ops.c10d.allreduce(x)", "operators of 'c10d'"),
        ("o = __torch__.torch.classes.dist.Store()", "compiled class 'dist'"),
        ("rpc_sync(x)", "calls other machines"),
    ],
)
def test_what_hides_or_reaches_too_far_is_told(code: str, why: str) -> None:
    (reason, *_) = script_code.reasons(code)
    assert why in reason


@pytest.mark.parametrize(
    "code",
    [
        'x = "torch.from_file"  # ops.evil.run(x)',
        "x = 'it''s'",
        "def save(self, x: Tensor):",
        "x = torch.relu(1.5e-05)",
        "x = ops.quantized.linear(x)",
        "x = self.torch.forward(x)",
        "x = __torch__.torch.classes.quantized.LinearPackedParamsBase",
    ],
)
def test_what_only_computes_is_not(code: str) -> None:
    assert list(script_code.reasons(code)) == []


@pytest.mark.parametrize("code", ['x = """a"""', "x = 'a", 'x = "a\n"'])
def test_code_that_can_be_read_in_two_ways_is_refused(code: str) -> None:
    with pytest.raises(MalformedError):
        list(script_code.reasons(code))


def test_members_that_no_archive_has_and_numbers_that_are_not_there(tmp_path: Path) -> None:
    sound = script(tmp_path)
    more = edited(sound, tmp_path / "more.pt", lambda _, raw: raw, evil__run="x")
    assert recognise.look(more).reasons == ("holds 'evil/run', which no archive of TorchScript has",)
    less = edited(sound, tmp_path / "less.pt", lambda name, raw: raw[:4] if name.startswith("data/") else raw)
    assert "missing or cut short" in recognise.look(less).reasons[0]
