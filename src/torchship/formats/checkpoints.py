"""Looks at torch's weights files: the zip form, and the legacy form of five pickles and the numbers behind them."""

from __future__ import annotations

import pickletools
from typing import BinaryIO

from torchship.errors import MalformedError, UnsafeError
from torchship.formats import pickles, rules, zips
from torchship.formats.findings import Findings, Tensor
from torchship.formats.pickles import Pickle
from torchship.formats.tensors import named_tensors, storage_of
from torchship.formats.torch_rules import WEIGHTS

KIND = "torch weights"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # torch.serialization.MAGIC_NUMBER
_MAX_PICKLE = 256 << 20
_STREAM = 5  # the legacy form's pickles: magic number, protocol, system, the object, the storages' keys


def look_zip(file: BinaryIO, members: dict[str, zips.Member]) -> Findings:
    """Look at the zip form; ``members`` by their names without the archive's own folder.

    Raises:
        UnsafeError, MalformedError: a pickle would run code, or a storage is not what it is declared to be.
    """
    found = pickles.read_whole(zips.read(file, members["data.pkl"], _MAX_PICKLE), "data.pkl")
    rules.check(found, WEIGHTS, "data.pkl")
    for storage in map(storage_of, found.stored):
        member = members.get(f"data/{storage.key}")
        if member is None or member.size != storage.size:
            held = "is missing" if member is None else f"holds {member.size} bytes instead of {storage.size}"
            raise MalformedError(f"the storage {storage.key!r} {held}")
    return _findings(found)


def look_legacy(raw: bytes) -> Findings:
    """Look at the legacy form; raises UnsafeError and MalformedError as ``look_zip`` does."""
    read: list[Pickle] = []
    for _ in range(_STREAM):
        read.append(pickles.read(raw, "the pickle", read[-1].end if read else 0))
        rules.check(read[-1], WEIGHTS, "the pickle")
    if read[0].value != LEGACY_MAGIC or read[1].value != 1001 or not isinstance(read[4].value, list):
        raise MalformedError("it begins like torch's legacy weights, and goes on otherwise")
    sizes = {storage.key: storage.size for storage in map(storage_of, read[3].stored)}
    if sorted(sizes) != sorted(map(str, read[4].value)):
        raise MalformedError("its list of storages is not that of its tensors")
    wanted = sum(8 + size for size in sizes.values())
    if len(raw) - read[4].end != wanted:
        raise UnsafeError(f"it holds {len(raw) - read[4].end} bytes behind its pickles, its storages take {wanted}")
    return _findings(read[3])


def is_legacy(head: bytes) -> bool:
    """Whether a file that begins so is a pickle of torch's magic number."""
    try:
        return next(arg for opcode, arg, _ in pickletools.genops(head) if opcode.name == "LONG1") == LEGACY_MAGIC
    except (ValueError, StopIteration):
        return False


def look_pickle(raw: bytes) -> Findings:
    """Look at a plain pickle; raises UnsafeError where it would run code, or hides something behind its end."""
    found = pickles.read_whole(raw, "the pickle")
    rules.check(found, WEIGHTS, "the pickle")
    return Findings("pickle")


def _findings(found: Pickle) -> Findings:
    tensors = named_tensors(found.value).items()
    return Findings(KIND, tensors=tuple(Tensor(name, tensor.dtype, tensor.shape) for name, tensor in tensors))
