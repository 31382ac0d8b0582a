"""A known failure, as data: how it is recognised, and what the user is told."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from torchship.convert.diagnosis.evidence import Evidence
from torchship.convert.diagnosis.operator import operator_name
from torchship.convert.diagnosis.rewrites import instead


@dataclass(frozen=True)
class Told:
    """What the user is told: one sentence, the operator, and the way out. ``passing``: another time it may go well."""

    reason: str
    op: str | None
    hint: str | None
    passing: bool = False


@dataclass(frozen=True)
class Known:
    """A failure, and what to tell of it.

    Recognised by regular expressions: ``text`` in an exception's message, ``kind`` in its type's name, ``code`` in the
    user's line, ``within`` in the operator that was running.

    ``reason``, ``hint`` and ``op`` are filled in with the expressions' named groups, with ``{here}`` (the user's line,
    quoted), ``{op}``, ``{target}`` and ``{instead}`` (what to write for this operator). An ``op`` of ``*.overload`` is
    the first operator of the graph that is called by that overload.
    """

    text: str
    reason: str
    hint: str
    kind: str = ""
    code: str = ""
    within: str = ""
    op: str = "{op}"
    passing: bool = False

    def match(self, evidence: Evidence) -> Told | None:
        """What to tell of ``evidence``; None where it is another failure."""
        groups: dict[str, str] = {}
        if not (_search(self.code, evidence.code, groups) and _search(self.within, evidence.op or "", groups)):
            return None
        for raised in evidence.chain:
            found = dict(groups)
            if _search(self.kind, raised.kind, found) and _search(self.text, raised.message, found):
                return self._told(evidence, found)
        return None

    def _told(self, evidence: Evidence, groups: dict[str, str]) -> Told:
        op = operator_name(self.op.format_map(_Filled({"op": evidence.op or "", **groups}))).rstrip(".")
        values = _Filled({"target": evidence.target or "this target", **groups, "op": op or "an operator"})
        values["here"] = f"`{_short(evidence.code)}`" if evidence.code else "a line of the model"
        values["instead"] = instead(op)
        if evidence.event is not None and str(evidence.event.place) != str(evidence.place):
            values["born"] = f" ({evidence.event.place})"
        reason = self.reason if evidence.code else self.reason.removesuffix(": {here}")
        return Told(
            _sentence(reason.format_map(values)),
            op or None,
            _sentence(self.hint.format_map(values)) or None,
            self.passing,
        )


class _Filled(dict[str, str]):
    """Leaves out what an expression didn't find."""

    def __missing__(self, key: str) -> str:
        return ""


def first_match(table: Iterable[Known], evidence: Evidence) -> Told | None:
    """What the first entry that knows this failure tells."""
    return next((told for each in table if (told := each.match(evidence)) is not None), None)


def _search(pattern: str, text: str, groups: dict[str, str]) -> bool:
    if not pattern:
        return True
    found = _compiled(pattern).search(text)
    if found is None:
        return False
    groups.update({name: value for name, value in found.groupdict().items() if value is not None})
    return True


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.MULTILINE)


def _sentence(text: str) -> str:
    """One line, no blanks doubled or before a stop."""
    return re.sub(r" +([,;:.])(?=\s|$)", r"\1", " ".join(text.split())).strip(" ,;")


def _short(code: str, most: int = 90) -> str:
    return code if len(code) <= most else f"{code[:most].rsplit(' ', 1)[0]} …"
