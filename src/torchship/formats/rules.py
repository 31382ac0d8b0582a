"""What a pickle may name and call. All else is refused: there is no list of bad names, only one of good ones."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping

from torchship.errors import UnsafeError
from torchship.formats import tensors
from torchship.formats.pickles import Global, Made, Pickle

_NEVER = {
    "asyncio", "builtins", "code", "codecs", "commands", "ctypes", "distutils", "functools", "importlib", "inspect",
    "io", "marshal", "mmap", "multiprocessing", "nt", "operator", "os", "pathlib", "pdb", "pickle", "pip", "platform",
    "posix", "pty", "runpy", "setuptools", "shutil", "signal", "site", "socket", "subprocess", "sys", "tempfile",
    "timeit", "types", "urllib", "webbrowser", "zipfile",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Rules:
    """``calls``: names that may be called, with the check of how. ``values``: names that may only be named.

    ``classes``: names of classes that may be made empty and given a state. ``inert``: names that whoever opens the
    file puts an empty shell in the place of, so that nothing of theirs runs. ``allowed``: what the user vouches for.
    """

    calls: Mapping[str, Callable[[Made], bool]]
    values: frozenset[str] = frozenset()
    classes: re.Pattern[str] | None = None
    inert: re.Pattern[str] | None = None
    allowed: frozenset[str] = frozenset()

    def knows(self, name: str) -> bool:
        """Whether a pickle may name it."""
        plain = name in self.calls or name in self.values or name in self.allowed
        return plain or self.is_inert(name) or self.is_class(name)

    def permits(self, made: Made) -> bool:
        """Whether a pickle may call it so."""
        name = str(made.maker)
        if name in self.allowed or self.is_inert(name):
            return True
        if self.is_class(name):
            return made.bare and not made.args and not made.items and not made.pairs
        return name in self.calls and self.calls[name](made)

    def is_inert(self, name: str) -> bool:
        """Whether an empty shell takes its place; never where the user vouches for the real one."""
        return self.inert is not None and name not in self.allowed and self.inert.fullmatch(name) is not None

    def is_class(self, name: str) -> bool:
        """Whether it is a class that may be made empty and given a state."""
        return self.classes is not None and self.classes.fullmatch(name) is not None


def check(found: Pickle, rules: Rules, name: str) -> None:
    """Hold a pickle against ``rules``; ``name`` is what errors call it.

    Raises:
        UnsafeError: it names or calls anything else; says what, and which flags would allow it.
        MalformedError: a tensor in it is none.
    """
    strange = [each for each in found.globals if not rules.knows(str(each))]
    if strange:
        names = ", ".join(map(str, strange[:8])) + (" …" if len(strange) > 8 else "")
        raise UnsafeError(f"{name} would run code: it names {names}", where=name, hint=_hint(strange))
    for made in found.made:
        if not rules.permits(made):
            raise UnsafeError(
                f"{name} would run code: it calls {made.maker} in a way that no saved model does", where=name
            )
    for stored in found.stored:
        tensors.storage_of(stored)


def _hint(strange: list[Global]) -> str:
    if refused := [str(each) for each in strange if not may_allow(str(each))]:
        return f"do not open it: no saved model names {refused[0]}"
    flags = " ".join(f"--allow {each}" for each in strange)
    return f"save the state_dict alone: torch.save(model.state_dict(), path); or, if you trust whoever made it: {flags}"


def may_allow(name: str) -> bool:
    """Whether a user may vouch for ``name``: never for what runs programs, reads files or imports by itself."""
    return name.partition(".")[0] not in _NEVER and "." in name
