"""What rewritten functions call, under one name."""

from __future__ import annotations

import builtins

from torchship.convert.control.branching import branch, certain, choose, claim, every, negated, some, value
from torchship.convert.control.indexing import item, put
from torchship.convert.control.looping import loop, repeat
from torchship.convert.control.spans import backwards, counted, parts, rows, span

__all__ = [
    "backwards", "branch", "certain", "choose", "claim", "counted", "every", "item", "loop", "negated", "parts", "put",
    "repeat", "rows", "slice", "some", "span", "value",
]  # fmt: skip

slice = builtins.slice  # noqa: A001 - the model may have another thing of that name
