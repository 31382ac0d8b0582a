"""The ways out that the rows of failed targets offer, held against what happened in this very ship."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec

from torchship.bundle.artifact import Attempt, Row
from torchship.pipeline.attempt import Outcome

_OFFERS = {  # of the routes that hints offer: the words that do, and the names that attempts bear
    "the script route": (re.compile(r"script route|torchscript:script"), ("script",)),
    "torch.export": (re.compile(r"torch\.export runs|onnx:export"), ("export",)),
}
_LONGEST = 160


def offering(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Name in the rows that failed what came out right, and of a route that is offered why it fails here too."""
    rows = [outcome.row for outcome in outcomes]
    right = ", ".join(outcome.row.name for outcome in outcomes if outcome.made is not None)
    return [
        replace(outcome, row=_offered(outcome.row, rows, right)) if outcome.row.status == "failed" else outcome
        for outcome in outcomes
    ]


def _offered(row: Row, rows: Sequence[Row], right: str) -> Row:
    hints = [row.hint, *_obstacles(row, rows), f"right here: {right}" if right else None]
    return msgspec.structs.replace(row, hint="; ".join(filter(None, hints)) or None)


def _obstacles(row: Row, rows: Sequence[Row]) -> Iterator[str]:
    """What stands in the way of the routes that the row's hint offers, where no target came out right by them."""
    for name, (offer, routes) in _OFFERS.items():
        if (
            row.hint is None
            or not offer.search(row.hint)
            or any(each.status == "ok" and each.route in routes for each in rows)
        ):
            continue
        failed = [each for other in rows for each in _attempts(other) if each.route in routes]
        told = next((each for each in failed if each.where), None)
        if told is not None and told.reason != row.reason:
            yield f"here {name} stops at {told.where}: {_short(told.reason)}"


def _attempts(row: Row) -> Iterator[Attempt]:
    yield from row.attempts
    if row.status == "failed" and row.route is not None and row.reason is not None:
        yield Attempt(row.route, row.reason, row.op, row.where, row.hint)


def _short(reason: str) -> str:
    return reason if len(reason) <= _LONGEST else f"{reason[:_LONGEST].rpartition(' ')[0]} …"
