"""What of a runtime can be set to make it quicker on a host, and to what."""

from __future__ import annotations

import msgspec

from torchship.bundle.artifact import Option, Settings


class Knob(msgspec.Struct, frozen=True):
    """Positions to try one after the other, the plainest first; each sets ``threads``, options, or both."""

    name: str
    positions: tuple[dict[str, Option], ...]


def threads_knob(cores: int, **waiting: Option) -> Knob:
    """1, 2, 4 … threads up to all ``cores``; ``waiting`` are options that only several threads have a use for."""
    counts = sorted({1, cores, *(1 << power for power in range(1, cores.bit_length()) if 1 << power < cores)})
    plain: list[dict[str, Option]] = [{"threads": count} for count in counts]
    busy = [{"threads": count, **waiting} for count in counts if count > 1] if waiting else []
    return Knob("threads", (*plain, *busy))


def turned(settings: Settings, position: dict[str, Option]) -> Settings:
    """``settings`` with the knob in that position."""
    options = {name: value for name, value in position.items() if name != "threads"}
    threads = int(position.get("threads", settings.threads))
    return Settings(threads, {**settings.options, **options})
