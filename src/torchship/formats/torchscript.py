"""Looks at a TorchScript archive: its pickles, and the code in it, which runs when it is opened."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, BinaryIO

from torchship.errors import MalformedError
from torchship.formats import pickles, rules, script_code, zips
from torchship.formats.findings import Findings, Tensor
from torchship.formats.tensors import TensorInfo, as_tensor, storage_of
from torchship.formats.torch_rules import SCRIPT

KIND = "torchscript"
_MAX_TEXT = 256 << 20
_CODE = re.compile(r"code/.+\.py")
_PICKLES = re.compile(
    r"(data|constants|traced_inputs|attributes|bytecode|mobile_debug_handles)\.pkl|code/.+\.debug_pkl"
)
_PLAIN = re.compile(r"(data|constants|traced_inputs)/\d+|version|byteorder|\.data/\w+|extra/.+|model\.json")
_FORWARD = re.compile(r"def forward\(\s*\w+\s*:\s*[\w.]+\s*,?(?P<parameters>[^)]*)\)\s*->\s*(?P<result>[^:]+):")
_PARAMETER = re.compile(r"(\w+)\s*:\s*Tensor")


def look(file: BinaryIO, members: dict[str, zips.Member]) -> Findings:
    """Look at an archive; ``members`` by their names without the archive's own folder.

    Raises:
        UnsafeError, MalformedError: a pickle would run code, or is damaged.
    """
    reasons: list[str] = []
    code: dict[str, str] = {}
    for name, member in members.items():
        if _PICKLES.fullmatch(name):
            _check_pickle(zips.read(file, member, _MAX_TEXT), name, members)
        elif _CODE.fullmatch(name):
            code[name] = _text(file, member)
            reasons += [f"{name} {why}" for why in script_code.reasons(code[name])]
        elif not _PLAIN.fullmatch(name):
            reasons.append(f"holds {name!r}, which no archive of TorchScript has")
    inputs, outputs = _call(_main_class(file, members), code)
    return Findings(KIND, tuple(dict.fromkeys(reasons)), inputs, outputs)


def _check_pickle(raw: bytes, name: str, members: dict[str, zips.Member]) -> None:
    """Raises UnsafeError where it would run code, MalformedError where a tensor's numbers aren't there."""
    found = pickles.read_whole(raw, name)
    rules.check(found, SCRIPT, name)
    folder = name.removesuffix(".pkl")
    if folder not in ("data", "constants"):
        return  # nobody reads the numbers of the rest
    for storage in map(storage_of, found.stored):
        member = members.get(f"{folder}/{storage.key}")
        if member is None or member.size < storage.size:
            raise MalformedError(f"the numbers of the storage {storage.key!r} are missing or cut short", where=name)


def traced_inputs(path: Path) -> tuple[TensorInfo, ...]:
    """The example that an archive was traced with; nothing where it was scripted, or called with more than tensors.

    Raises:
        UnsafeError, MalformedError: the archive is damaged.
    """
    with path.open("rb") as file:
        member = zips.without_root(zips.members(file)).get("traced_inputs.pkl")
        if member is None:
            return ()
        value = untagged(pickles.read_whole(zips.read(file, member, _MAX_TEXT), member.name).value)
    given = untagged(value.get("forward")) if isinstance(value, dict) else None
    tensors = [as_tensor(each) for each in given] if isinstance(given, list) else []
    return tuple(each for each in tensors if each is not None) if None not in tensors else ()


def untagged(value: Any) -> Any:
    """What TorchScript wrote with its type beside it: ``restore_type_tag(value, type)``."""
    tagged = isinstance(value, pickles.Made) and str(value.maker) == "torch.jit._pickle.restore_type_tag"
    return value.args[0] if tagged and value.args else value


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
