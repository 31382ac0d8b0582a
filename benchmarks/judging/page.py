"""docs/models.md: which model comes out right on which target, from the raw results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from catalogue import entries, kinds
from shipping import Pair, Shipped

TARGETS = ("onnx", "torchscript", "exported", "aoti", "openvino")
MARKS = {
    "right": "ok", "diagnosed": "diagnosed", "undiagnosed": "failed", "wrong": "**WRONG**", "unavailable": "-",
}  # fmt: skip
RAW_MARKS = {"right": "ok", "wrong": "wrong", "raises": "raises", "failed": "-"}

HEAD = """# Models

Made by `python benchmarks/zoo.py` (and `--raw` for the raw tools). Each model is shipped to the five server targets;
each artifact that `ship` calls `ok` is then opened by `torchship.load` in a fresh process (for `onnx` and `openvino`
one that can't import torch) and called with values and sizes that `ship` never saw, both ends of every declared range
included. Its answers are held against eager's: rtol 1e-3 and atol 1e-4 of the largest value (3e-2 where the model
computes in 16 bits), integers, dtypes, shapes and the structure exactly. The first call is repeated last.

*ok*: right. *diagnosed*: no artifact, and the row names the operator, the line and a way out; the reasons stand below.
*failed*: no artifact, and the row lacks one of them. ***WRONG***: called ok, and isn't. *-*: not tried.
"""


def write(results: Sequence[Shipped], path: Path) -> str:
    """Write the page; give the counts."""
    counts = _counts(results)
    parts = [HEAD, f"## Counts\n\n{counts}", _raw_counts(results), _tables(results), _reasons(results)]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(part.strip() + "\n" for part in parts if part))
    return counts


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(str(each) for each in cells) + " |"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return "\n".join([_row(head), _row(["---"] * len(head)), *(_row(row) for row in rows)])


def _counts(results: Sequence[Shipped]) -> str:
    rows = []
    total: Counter[str] = Counter()
    for target in TARGETS:
        found = Counter(each.pairs[target].outcome for each in results if target in each.pairs)
        total += found
        rows.append(_counted(target, found))
    rows.append(_counted("**all**", total))
    none = [each.name for each in results if each.pairs and not any(p.outcome == "right" for p in each.pairs.values())]
    told = f"\n\n{len(results)} models of {len({each.kind for each in results})} kinds. "
    told += f"Without any right artifact: {', '.join(none) or 'none'}."
    return (
        _table(("target", "pairs", "right", "diagnosed", "failed", "wrong", "right", "right or diagnosed"), rows) + told
    )


def _counted(target: str, found: Counter[str]) -> list[object]:
    pairs = sum(found.values()) - found["unavailable"]
    share = [found["right"] / max(pairs, 1), (found["right"] + found["diagnosed"]) / max(pairs, 1)]
    four = [found[each] for each in ("right", "diagnosed", "undiagnosed", "wrong")]
    return [target, pairs, *four, *(f"{each:.0%}" for each in share)]


def _raw_counts(results: Sequence[Shipped]) -> str:
    tried = [each for each in results if each.raw]
    if not tried:
        return ""
    rows, lost = [], []
    for tool in ("onnx", "torchscript", "exported", "openvino"):
        found = Counter(each.raw[tool].outcome for each in tried if tool in each.raw)
        silent = sum(each.raw[tool].silent for each in tried if tool in each.raw)
        rows.append(
            [tool, sum(found.values()), *(found[each] for each in ("right", "wrong", "raises", "failed")), silent]
        )
        lost += [f"{each.name} ({tool})" for each in tried if _lost(each, tool)]
    told = f"\n\nRight by the raw tool and not by `ship`: {', '.join(lost) or 'none'}."
    head = ("raw tool", "pairs", "right", "wrong", "raises", "failed", "first way silently wrong")
    return (
        "## The raw tools on the same models\n\nThe best of each tool's ways, called as a competent user would: "
        "torch.export (non-strict, strict), torch.onnx.export (dynamo), torch.jit (script, trace), "
        "openvino.convert_model (of the ExportedProgram, of the module), judged alike.\n\n" + _table(head, rows) + told
    )


def _lost(each: Shipped, tool: str) -> bool:
    return each.raw[tool].outcome == "right" and tool in each.pairs and each.pairs[tool].outcome != "right"


def _tables(results: Sequence[Shipped]) -> str:
    about = {entry.name: entry.about for entry in entries()}
    parts = ["## Model by model\n\nIn brackets, where it differs: what the raw tool does."]
    for kind, what in kinds().items():
        rows = [
            [each.name, *(_cell(each, target) for target in TARGETS), about[each.name]]
            for each in results
            if each.kind == kind
        ]
        if rows:
            parts.append(f"### {kind}\n\n{what}\n\n{_table(('model', *TARGETS, ''), rows)}")
    return "\n\n".join(parts)


def _cell(each: Shipped, target: str) -> str:
    pair = each.pairs.get(target)
    mark = MARKS[pair.outcome] if pair else "-"
    if pair and pair.route and pair.outcome == "right" and pair.route not in ("export", "aot"):
        mark += f" ({pair.route})"
    raw = each.raw.get(target)
    if raw and pair and (raw.outcome == "right") != (pair.outcome == "right"):
        mark += f" [{RAW_MARKS[raw.outcome]}]"
    return mark


def _reasons(results: Sequence[Shipped]) -> str:
    parts = ["## Why not"]
    for each in results:
        found: dict[tuple[str, ...], list[str]] = {}
        for target, pair in each.pairs.items():
            if pair.outcome not in ("right", "unavailable"):
                found.setdefault(_told(pair), []).append(target)
        for told, targets in found.items():
            parts.append(f"- **{each.name}** ({', '.join(targets)}): " + " ".join(told))
    return "\n".join([parts[0] + "\n", *parts[1:]])


def _told(pair: Pair) -> tuple[str, ...]:
    if pair.outcome == "wrong":
        return (f"WRONG: {pair.told}",)
    said = [_plain(pair.reason or "no reason")]
    said += [f"*op* `{pair.op}`"] if pair.op else []
    said += [f"*at* {_plain(pair.where)}"] if pair.where else []
    said += [f"*do* {_plain(pair.hint)}"] if pair.hint else []
    return tuple(said)


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
