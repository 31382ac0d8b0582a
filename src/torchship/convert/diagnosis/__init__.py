"""Says why a conversion failed, in the user's terms: the reason, the operator, their own source line, a way out.

Known failures are tables, one file a family, tried in their order; what none of them knows is told in the converter's
own words, with whatever place and operator could be found. Nothing here needs torch: a runtime's failure is told in a
process that has none.
"""

from __future__ import annotations

import re
from dataclasses import replace

from torchship.convert.diagnosis import building, operators, script, sizes, structure, values
from torchship.convert.diagnosis.evidence import Evidence, Raised, read
from torchship.convert.diagnosis.graph import Graph
from torchship.convert.diagnosis.known import Known, Told, first_match
from torchship.convert.diagnosis.rewrites import instead
from torchship.convert.diagnosis.witness import witnessed
from torchship.convert.diagnosis.written import construct
from torchship.errors import ConversionError, TorchshipError, WorkerError
from torchship.models.places import Kind, deepest

__all__ = ["NO_WAY", "Graph", "diagnose", "witnessed"]

TABLE: tuple[Known, ...] = (
    *values.TABLE, *sizes.TABLE, *structure.TABLE, *operators.TABLE, *building.TABLE, *script.TABLE,
)  # fmt: skip

NO_WAY = "another route or target may take it; reproduce.py shows it"  # where nothing better is known
_LONGEST = 300
_INTERPRETED = re.compile(r"Traceback of TorchScript.*\n(?:.*\n)*\w*(?:Error|Exception): ")  # greedy: to the last line
_SOURCE = re.compile(r"(?:Exception from |at )?src/\S+\.\w+:\d+:?")  # a converter's own line, and no more
_EMPTY_WORDS = re.compile(
    r"^(?:Check '.*' failed|Exception from|FrontEnd API failed|Model wasn't fully|Failed to convert|"
    r"\[ONNXRuntimeError\] : \d+ : \w+ : |The following operation failed|Traceback|File \"|~|\^)"
)


def diagnose(error: BaseException, doing: str, *, graph: Graph | None = None, target: str = "") -> TorchshipError:
    """Make one ConversionError of whatever was raised; a WorkerError where it may go well another time.

    ``doing`` begins the sentence where nothing better is known (``capturing by torch.export``); ``graph`` is the
    captured program, where the failure came after the capture.
    """
    evidence = read(error, graph, target)
    told = first_match(TABLE, evidence) or _plainly(evidence, doing)
    if told.op and told.op.startswith("*."):
        named = (graph or Graph()).overload(told.op[2:])
        evidence = replace(evidence, op=named.op, place=evidence.place or deepest(named.places))
        told = replace(first_match(TABLE, evidence) or told, op=named.op)
    if evidence.place is None and graph is not None and told.op:
        evidence = replace(evidence, place=deepest(graph.calls(told.op)))
        told = first_match(TABLE, evidence) or told
    where = str(evidence.place) if evidence.place else None
    if told.passing:
        return WorkerError(told.reason, where=where, hint=told.hint)
    op = told.op or (construct(evidence.place.code) if evidence.place and evidence.place.kind > Kind.LAYER else None)
    return ConversionError(told.reason, where=where, op=op, hint=told.hint)


def _plainly(evidence: Evidence, doing: str) -> Told:
    """In the converter's own words."""
    cause = _telling(evidence)
    what = f"{cause.kind.rpartition('.')[2]}: {first_sentence(cause.message)}"
    hint = f"{instead(evidence.op)}; " if evidence.op and instead(evidence.op) else ""
    return Told(f"{doing} failed: {what}", evidence.op, f"{hint}{NO_WAY}")


def _telling(evidence: Evidence) -> Raised:
    """The root cause, unless it says next to nothing."""
    worded = [each for each in evidence.chain if len(each.message.split()) > 2]
    return worded[-1] if worded else evidence.chain[0]


def first_sentence(text: str) -> str:
    """The first lines that say something, whole words, not much more than two lines of a terminal."""
    text = _INTERPRETED.split(text)[-1]
    lines = [line.strip() for line in text.splitlines() if line.strip() and not _SOURCE.fullmatch(line.strip())]
    saying = [_EMPTY_WORDS.sub("", line).strip() for line in lines]
    told = " ".join([line for line in saying if line][:3]) or " ".join(lines[:1]) or "no message"
    if len(told) <= _LONGEST:
        return told
    cut = told[:_LONGEST]
    stop = cut.rfind(". ")
    return cut[: stop + 1] if stop > _LONGEST // 3 else f"{cut.rpartition(' ')[0]} …"
