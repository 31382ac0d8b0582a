"""Names of tensors as Python can write them."""

from __future__ import annotations

import keyword
import re


def identifiers(names: tuple[str, ...]) -> list[str]:
    """Give a Python identifier for each of ``names`` (``a.b`` is ``a_b``), no two the same."""
    given: list[str] = []
    for name in names:
        plain = re.sub(r"\W", "_", name)
        if not plain.isidentifier() or keyword.iskeyword(plain) or plain == "self":
            plain = f"input_{plain}"
        while plain in given:
            plain += "_"
        given.append(plain)
    return given
