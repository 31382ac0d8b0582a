"""Looks at torch's weights files: the zip form, and the legacy form of five pickles and the numbers behind them."""

from __future__ import annotations

import pickletools
from pathlib import Path
from typing import BinaryIO

from torchship.errors import MalformedError, RefusedError, UnsafeError
from torchship.formats import pickles, zips
from torchship.formats.findings import Findings, Tensor
from torchship.formats.mapped import mapped
from torchship.formats.pickles import Made, Pickle
from torchship.formats.remarks import quietly
from torchship.formats.rules import Rules, check
from torchship.formats.tensors import as_mapping, named_tensors, storage_of
from torchship.formats.torch_rules import WEIGHTS

KIND = "torch weights"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # torch.serialization.MAGIC_NUMBER
_MAX_PICKLE = 256 << 20
_STREAM = 5  # the legacy form's pickles: magic number, protocol, system, the object, the storages' keys
_OBJECT = 3
_MAX_NESTS = 4
NESTS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params", "ema", "model_ema")
"""Keys below which checkpoints keep the model, the likeliest first."""
_BESIDES = {"data.pkl", "version", "byteorder", ".format_version", ".storage_alignment", ".data/serialization_id"}


def look_zip(file: BinaryIO, members: dict[str, zips.Member]) -> Findings:
    """Look at the zip form; ``members`` by their names without the archive's own folder.

    Raises:
        UnsafeError, MalformedError: a pickle would run code, or a storage is not what it is declared to be.
    """
    return _findings(read_zip(file, members, WEIGHTS))


def look_legacy(raw: bytes | memoryview) -> Findings:
    """Look at the legacy form; raises UnsafeError and MalformedError as ``look_zip`` does."""
    return _findings(read_legacy(raw, WEIGHTS))


def read(path: Path, rules: Rules | None) -> Pickle:
    """Read the object of a weights file in either form, held against ``rules``; raises as ``look_zip`` does.

    Without rules it is only described: nothing may be opened after that alone.
    """
    try:
        with mapped(path) as raw, path.open("rb") as file:
            if zips.is_zip(bytes(raw[:4])):
                return read_zip(file, zips.without_root(zips.members(file)), rules)
            return read_legacy(raw, rules)
    except RefusedError as error:
        raise type(error)(f"{path.name}: {error.what}", where=str(path), hint=error.hint) from error


def read_zip(file: BinaryIO, members: dict[str, zips.Member], rules: Rules | None) -> Pickle:
    """Read the zip form's object; raises as ``look_zip`` does."""
    found = pickles.read_whole(zips.read(file, members["data.pkl"], _MAX_PICKLE), "data.pkl")
    if rules is not None:
        check(found, rules, "data.pkl")
    storages = {f"data/{storage.key}": storage for storage in map(storage_of, found.stored)}
    for name, member in members.items():
        if name not in storages and name not in _BESIDES:
            raise UnsafeError(f"it holds {name!r}, which no part of it refers to", where=name)
        if name == "byteorder" and zips.read(file, member, 16) not in (b"little", b"big"):
            raise MalformedError("its byte order is neither little nor big", where=name)
    for storage in map(storage_of, found.stored):
        held = members.get(f"data/{storage.key}")
        if held is None or held.size != storage.size:
            state = "is missing" if held is None else f"holds {held.size} bytes instead of {storage.size}"
            raise MalformedError(f"the storage {storage.key!r} {state}")
    return found


def read_legacy(raw: bytes | memoryview, rules: Rules | None) -> Pickle:
    """Read the legacy form's object; raises as ``look_zip`` does."""
    found: list[Pickle] = []
    for place in range(_STREAM):
        found.append(pickles.read(raw, "the pickle", found[-1].end if found else 0))
        held_against = rules if place == _OBJECT else WEIGHTS
        if held_against is not None:
            check(found[-1], held_against, "the pickle")
    magic, protocol, _, wanted, keys = found
    if magic.value != LEGACY_MAGIC or protocol.value != 1001 or not isinstance(keys.value, list):
        raise MalformedError("it begins like torch's legacy weights, and goes on otherwise")
    sizes = {storage.key: storage.size for storage in map(storage_of, wanted.stored)}
    contradictory = any(sizes[storage.key] != storage.size for storage in map(storage_of, wanted.stored))
    if contradictory or sorted(sizes) != sorted(map(str, keys.value)):
        raise MalformedError("its list of storages is not that of its tensors")
    behind = sum(8 + size for size in sizes.values())
    if len(raw) - keys.end != behind:
        raise UnsafeError(f"it holds {len(raw) - keys.end} bytes behind its pickles, its storages take {behind}")
    return wanted


def is_legacy(head: bytes) -> bool:
    """Whether a file that begins so is a pickle of torch's magic number."""
    try:
        with quietly():
            return next(arg for opcode, arg, _ in pickletools.genops(head) if opcode.name == "LONG1") == LEGACY_MAGIC
    except (ValueError, StopIteration):
        return False


def look_pickle(raw: bytes) -> Findings:
    """Look at a plain pickle; raises UnsafeError where it would run code, or hides something behind its end."""
    found = pickles.read_whole(raw, "the pickle")
    check(found, WEIGHTS, "the pickle")
    return Findings("pickle")


def module_class(found: Pickle) -> str | None:
    """The class of the whole module that is pickled, at the top or below one of the usual keys; None where none is."""
    value = found.value
    for _ in range(_MAX_NESTS):
        items = as_mapping(value)
        if items is None:
            return str(value.maker) if isinstance(value, Made) and value.bare else None
        value = next((items[key] for key in NESTS if isinstance(items.get(key), (dict, Made))), None)
    return None


def _findings(found: Pickle) -> Findings:
    tensors = named_tensors(found.value).items()
    return Findings(KIND, tensors=tuple(Tensor(name, tensor.dtype, tensor.shape) for name, tensor in tensors))
