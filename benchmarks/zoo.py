"""Ships every model of the zoo to the server targets, judges each artifact independently, and writes docs/models.md.

``python benchmarks/zoo.py [--only NAME…] [--targets LIST] [--jobs N] [--raw] [--fork] [--table] [--again]``.
Results are kept in ``benchmarks/results/zoo`` by the hash of torchship's code and of the model's, so that a rerun does
only what changed.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "judging"))
sys.path = [path for path in sys.path if Path(path).resolve() != HERE]  # or this file would hide the folder zoo

from catalogue import Entry, entries  # noqa: E402
from page import write  # noqa: E402
from shipping import FORKS, Shipped, raw, shipped  # noqa: E402
from zygote import Zygote  # noqa: E402

import torchship  # noqa: E402

RESULTS = HERE / "results" / "zoo"
TARGETS = ("onnx", "torchscript", "exported", "aoti", "openvino")
RAW = ("onnx", "torchscript", "exported", "openvino")


def main() -> None:
    options = _options()
    found = entries(tuple(options.only))
    RESULTS.mkdir(parents=True, exist_ok=True)
    targets = tuple(options.targets.replace(",", " ").split())
    if options.fork:
        FORKS.append(Zygote())
    if not options.table:
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(lambda entry: _one(entry, targets, options), found))
    print(write(_results(), HERE.parent / "docs" / "models.md"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="models or kinds")
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--jobs", type=int, default=1, help="models at once")
    parser.add_argument("--raw", action="store_true", help="try the raw tools, in place of ship")
    parser.add_argument("--again", action="store_true", help="also what was done before with the same code")
    parser.add_argument("--fork", action="store_true", help="fork tasks and workers from a process with torch imported")
    parser.add_argument("--table", action="store_true", help="only write the table from what is there")
    return parser.parse_args()


def _one(entry: Entry, targets: tuple[str, ...], options: argparse.Namespace) -> None:
    path = RESULTS / f"{entry.name}.json"
    known = msgspec.json.decode(path.read_bytes(), type=Shipped) if path.is_file() else None
    fresh = _raw(entry, known, options.again) if options.raw else _shipped(entry, known, targets, options.again)
    if fresh is not None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(fresh)))


def _raw(entry: Entry, known: Shipped | None, again: bool) -> Shipped | None:
    key = _hash([entry.file, HERE / "zoo" / "entry.py", HERE / "judging" / "rawtools.py"])
    if known is not None and known.raw_key == key and not again:
        return None
    known = known or Shipped(entry.kind, entry.name, "", {})
    known.raw, known.raw_key = raw(entry, RAW), key
    _tell(entry, " ".join(f"{tool}:{each.outcome}" for tool, each in known.raw.items()))
    return known


def _shipped(entry: Entry, known: Shipped | None, targets: tuple[str, ...], again: bool) -> Shipped | None:
    key = _hash([entry.file, HERE / "zoo" / "entry.py", *sorted(Path(torchship.__file__).parent.rglob("*.py"))])
    wanted = targets
    if known is not None and known.key == key and not again:
        wanted = tuple(target for target in targets if target not in known.pairs)
        if not wanted:
            return None
    fresh = shipped(entry, wanted, key)
    if known is not None:
        fresh.raw, fresh.raw_key = known.raw, known.raw_key
        fresh.pairs = {**known.pairs, **fresh.pairs}
    told = " ".join(f"{target}:{pair.outcome}" for target, pair in fresh.pairs.items() if target in wanted)
    _tell(entry, f"{told} ({fresh.seconds:.0f} s)")
    return fresh


def _tell(entry: Entry, what: str) -> None:
    print(f"{entry.kind}/{entry.name}: {what}", flush=True)


def _hash(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _results() -> list[Shipped]:
    kept = {path.stem: msgspec.json.decode(path.read_bytes(), type=Shipped) for path in RESULTS.glob("*.json")}
    return [kept[entry.name] for entry in entries() if entry.name in kept]


if __name__ == "__main__":
    main()
