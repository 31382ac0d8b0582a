"""Writes `constraints.txt`: what is installed here of the packages that torchship[build,dev] needs, and they in turn.

    .venv/bin/python scripts/pin.py

A version that does not take every Python that torchship takes is pinned only where it is taken: on an older Python
pip chooses, and what it chooses is not what was tested.
"""

from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import tomllib
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "constraints.txt"
EXTRAS = ("build", "quantize", "prune", "dev")
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
HEAD = "# What is tested, on Linux x86-64 with Python 3.11. Written by scripts/pin.py.\n"


def asked(extras: tuple[str, ...]) -> Iterator[Requirement]:
    """What pyproject.toml asks for; what an installed torchship says of itself may be older."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] + [line for extra in extras for line in project["optional-dependencies"][extra]]
    for requirement in map(Requirement, lines):
        if requirement.name == project["name"]:
            yield from asked(tuple(requirement.extras))
        else:
            yield requirement


def closure(extras: tuple[str, ...] = EXTRAS) -> dict[str, Distribution]:
    """The installed packages that torchship with `extras` needs, and all that they need in turn, by name."""
    packages: dict[str, Distribution] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(canonicalize_name(each.name), frozenset(each.extras)) for each in asked(extras)]
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        packages[name] = distribution(name)
        needs = [Requirement(text) for text in packages[name].requires or []]
        waiting += [
            (canonicalize_name(each.name), frozenset(each.extras)) for each in needs if applies(each.marker, wanted)
        ]
    return packages


def applies(marker: Marker | None, extras: frozenset[str]) -> bool:
    """Whether a requirement counts here, for any of `extras`."""
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, ""))


def line(package: Distribution) -> str:
    """The pin, without a local version (`+cpu`): that is the index's choice, not ours."""
    pin = f"{canonicalize_name(package.name)}=={package.version.partition('+')[0]}"
    taken = SpecifierSet(str(package.metadata["Requires-Python"] or ""))
    oldest = next(python for python in PYTHONS if python in taken)
    return pin if oldest == PYTHONS[0] else f'{pin} ; python_version >= "{oldest}"'


def main() -> None:
    """Write the file, and say what changed."""
    try:
        packages = closure()
    except PackageNotFoundError as error:
        raise SystemExit(f"{error.name} is not installed: pip install -e '.[{','.join(EXTRAS)}]' first") from error
    lines = sorted(line(package) for package in packages.values())
    TARGET.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"{TARGET.name}: {len(lines)} packages")


if __name__ == "__main__":
    main()
