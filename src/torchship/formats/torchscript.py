"""Looks at a TorchScript archive: its pickles, and the code in it, which runs when it is opened."""

from __future__ import annotations

import re
from typing import BinaryIO

from torchship.errors import MalformedError
from torchship.formats import pickles, rules, zips
from torchship.formats.findings import Findings, Tensor
from torchship.formats.torch_rules import SCRIPT

KIND = "torchscript"
_MAX_TEXT = 256 << 20
_NAMESPACES = {"aten", "prim", "prims", "quantized", "prepacked", "mkldnn", "mkldnn_prepacked", "onednn", "sparse"}
_FILES = re.compile(r"\b(from_file|_from_file|_save|save|_load_for_lite_interpreter|load_library)\b\s*\(")
_OPERATOR = re.compile(r"\bops\.(\w+)\.")
_FORWARD = re.compile(r"def forward\(\s*\w+\s*:\s*[\w.]+\s*,?(?P<parameters>[^)]*)\)\s*->\s*(?P<result>[^:]+):")
_PARAMETER = re.compile(r"(\w+)\s*:\s*Tensor")


def look(file: BinaryIO, members: dict[str, zips.Member]) -> Findings:
    """Look at an archive; ``members`` by their names without the archive's own folder.

    Raises:
        UnsafeError, MalformedError: a pickle would run code, or is damaged.
    """
    for name, member in members.items():
        if name.endswith((".pkl", ".debug_pkl")):
            rules.check(pickles.read_whole(zips.read(file, member, _MAX_TEXT), name), SCRIPT, name)
    reasons: list[str] = []
    code = {name: _text(file, member) for name, member in members.items() if name.endswith(".py")}
    for name, text in code.items():
        reasons += [f"{name} calls {match[1]}, which reads or writes files" for match in _FILES.finditer(text)]
        foreign = {match[1] for match in _OPERATOR.finditer(text)} - _NAMESPACES
        reasons += [
            f"{name} calls operators of {one!r}, which only a foreign library brings" for one in sorted(foreign)
        ]
    inputs, outputs = _call(_main_class(file, members), code)
    return Findings(KIND, tuple(dict.fromkeys(reasons)), inputs, outputs)


def _text(file: BinaryIO, member: zips.Member) -> str:
    try:
        return zips.read(file, member, _MAX_TEXT).decode()
    except UnicodeDecodeError as error:
        raise MalformedError(f"{member.name} in the archive is no text") from error


def _main_class(file: BinaryIO, members: dict[str, zips.Member]) -> str:
    """The qualified name of the model's class: ``__torch__.net.Net``."""
    value = pickles.read_whole(zips.read(file, members["data.pkl"], _MAX_TEXT), "data.pkl").value
    return str(value.maker) if isinstance(value, pickles.Made) else ""


def _call(main: str, code: dict[str, str]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """What the model takes and gives, as far as its code tells: names and counts."""
    module, _, name = main.rpartition(".")
    text = code.get("code/" + module.replace(".", "/") + ".py", "")
    body = text.partition(f"class {name}(")[2]
    found = _FORWARD.search(body)
    if found is None:
        return (), ()
    inputs = tuple(Tensor(parameter) for parameter in _PARAMETER.findall(found["parameters"]))
    count = found["result"].count("Tensor")
    return inputs, (Tensor("output"),) if count == 1 else tuple(Tensor(f"output_{place}") for place in range(count))
