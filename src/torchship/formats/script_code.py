"""The code in a TorchScript archive, looked at as a run of words: which operators it can reach, and by which names.

In it ``torch.NAME`` is the operator ``aten::NAME`` and ``ops.SPACE.NAME`` any other (torch's import_source.cpp); names
of classes begin with ``__torch__``. A word ``torch`` or ``ops`` that is not spelled out so could hide an operator.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from torchship.errors import MalformedError

_WORD = re.compile(r"""[A-Za-z_]\w*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\#[^\n]*|\d[\w.]*|\s+|.""")
_SPACES = {
    "aten", "prim", "prims", "quantized", "quantization", "quantized_decomposed", "prepacked", "mkldnn",
    "mkldnn_prepacked", "onednn", "sparse", "inductor", "static_runtime",
}  # fmt: skip
_NEVER = {
    "from_file": "reads or writes files",
    "save": "writes files",
    "rpc_async": "calls other machines",
    "rpc_sync": "calls other machines",
    "rpc_remote": "calls other machines",
}
_OWN_CLASSES = {"quantized", "rnn", "sparse", "xnnpack", "mkldnn"}


def reasons(text: str) -> Iterator[str]:
    """Say what speaks against running ``text``, a sentence each. Raises MalformedError where it can't be read."""
    words = _words(text)
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        if before != "def" and (why := _against(word, before, words[place + 1 : place + 7])):
            yield why


def _against(word: str, before: str, after: list[str]) -> str | None:
    if word in _NEVER:
        return f"uses {word}, which {_NEVER[word]}"
    if word in ("torch", "ops") and before != ".":
        if not _reaches(after, 1 if word == "torch" else 2):
            return f"hands {word} around, so that nobody can tell what it calls"
        if word == "ops" and after[1] not in _SPACES:
            return f"calls operators of {after[1]!r}, which only a foreign library brings"
    if (
        word == "__torch__"
        and after[:4] == [".", "torch", ".", "classes"]
        and after[5:]
        and after[5] not in _OWN_CLASSES
    ):
        return f"makes an object of the compiled class {after[5]!r}"
    return None


def _words(text: str) -> list[str]:
    """Names, numbers and signs; no texts, comments and blanks."""
    if '"""' in text or "'''" in text:
        raise MalformedError("its code holds texts over several lines, which torch never writes")
    words = [word for word in _WORD.findall(text) if not word.isspace() and word[0] != "#"]
    if any(word in ('"', "'", "\\") for word in words):
        raise MalformedError("its code holds a text without an end")
    return [word for word in words if word[0] not in "\"'"]


def _reaches(after: list[str], parts: int) -> bool:
    """Whether ``.NAME`` follows, ``parts`` times."""
    names = after[1 : 2 * parts : 2]
    return (
        after[: 2 * parts : 2] == ["."] * parts and len(names) == parts and all(name.isidentifier() for name in names)
    )
