from __future__ import annotations

from pathlib import Path

from torchship.bundle.artifact import Artifact, Attempt, Row, Verdict
from torchship.convert.diagnosis import NO_WAY
from torchship.pipeline.attempt import Made, Outcome, failed_row
from torchship.pipeline.offering import offering

UNROLLED = "`for i in range(n):` is unrolled, which fixes length to 7"
UNTYPED = "TorchScript can't type `for idx in reversed(hist):`"
LOOP = "the script route keeps the loop (onnx:script, torchscript:script)"
PLAINLY = "torch.export runs such Python as it is (onnx:export, exported, aoti)"


def failed(target, route, reason, hint, where="net.py:3 in forward", attempts=()):
    return Outcome(Row(target, target, "failed", None, route, reason, None, where, hint, attempts))


def right(target, route):
    made = Made(Artifact(target, target, route, "m", ("x",), ("y",)), Verdict(True, 0.0, 0.0), Path(), 1.0)
    return Outcome(Row(target, target, "ok", "fp32", route), made)


def hints(*outcomes):
    return [each.row.hint for each in offering(outcomes)]


def test_a_route_that_is_offered_and_fails_here_too_is_told_with_what_stops_it():
    exported, script = hints(
        failed("exported", "export", UNROLLED, LOOP),
        failed("torchscript", "script", UNTYPED, PLAINLY, "net.py:9 in forward"),
    )
    assert exported == f"{LOOP}; here the script route stops at net.py:9 in forward: {UNTYPED}"
    assert script == f"{PLAINLY}; here torch.export stops at net.py:3 in forward: {UNROLLED}"


def test_what_came_out_right_is_offered_and_needs_no_excuse():
    found = hints(failed("exported", "export", UNROLLED, LOOP), right("torchscript", "script"))
    assert found == [f"{LOOP}; right here: torchscript", None]


def test_the_attempt_that_knows_most_speaks_and_a_trace_only_where_nothing_else_does():
    export = Attempt("export", UNROLLED, None, "net.py:3 in forward", LOOP)
    traced = Attempt("trace", "made, but it raises", "aten.select", "net.py:4 in forward", "declare it fixed")
    crashed = Attempt("script", "it crashed")
    assert failed_row("onnx", [export, traced]).route == "export"
    assert failed_row("onnx", [crashed, traced]).route == "trace"
    assert failed_row("onnx", [crashed, export]).route == "export"


def test_a_line_of_torchs_own_and_no_way_out_are_no_knowledge():
    refuted = Attempt("export", "made, but it answers wrongly", None, "net.py:3 in forward", "write it otherwise")
    torchs = Attempt(
        "script", "no rule for aten.foo", "aten.foo", "torch/nn/modules/linear.py:134", "write it otherwise"
    )
    vague = Attempt("export", "it failed", None, "net.py:3 in forward", NO_WAY)
    assert failed_row("onnx", [refuted, torchs]).route == "export"
    assert (
        failed_row("onnx", [vague, Attempt("script", UNTYPED, None, "net.py:9 in forward", PLAINLY)]).route == "script"
    )


def test_the_operator_may_come_from_another_attempt_at_the_same_line():
    untold = Attempt("export", UNROLLED, None, "net.py:3 in forward", LOOP)
    named = Attempt("script", "no rule", "aten.foo", "net.py:3 in forward", None)
    assert failed_row("onnx", [untold, named]).op == "aten.foo"
