"""Numbers as the page writes them."""

from __future__ import annotations

import json
import math
import shlex

from torchship.bundle.artifact import Settings


def milliseconds(value: float) -> str:
    """Three significant digits, or whole milliseconds above 1,000: ``0.0989``, ``12.3``, ``1,240``."""
    if not math.isfinite(value) or value <= 0:  # nothing that a clock could say
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(value)))
    return f"{value:,.{min(decimals, 6)}f}"


def size(count: int) -> str:
    """Bytes in the decimal unit that fits: ``219 kB``, ``1.82 MB``."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if round(value) < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if value >= 100 or unit == "B" else f"{value:.3g} {unit}"


def percent(share: float) -> str:
    """A share as per cent, rounded towards a miss: 0.9999 is not 100%."""
    return f"{math.floor(share * 1000 + 1e-6) / 10:.1f}%"


def small(value: float) -> str:
    """A difference or an error: ``0``, ``4.8e-06``."""
    return "0" if value == 0 else f"{value:.1e}"


def ratio(value: float) -> str:
    """How many times: ``1.4``, ``12``, ``1,200``."""
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def settings(given: Settings) -> str:
    """How the runtime is opened: ``1 thread``, ``2 threads, optimize_for_inference``."""
    words = ["threads by the host" if given.threads == 0 else f"{given.threads} thread{'s' * (given.threads > 1)}"]
    for name, value in sorted(given.options.items()):
        if value is not False:
            words.append(name if value is True else f"{name}={value}")
    return ", ".join(words)


def count(number: int, thing: str) -> str:
    """``1 call``, ``1,200 calls``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def shell(word: str) -> str:
    """As it is typed in a shell."""
    return shlex.quote(word)


def python(text: str) -> str:
    """As a Python literal in double quotes, for use inside single ones in a shell."""
    return json.dumps(text).replace("'", "\\u0027")


FILTERS = {
    "milliseconds": milliseconds, "size": size, "percent": percent, "small": small, "ratio": ratio,
    "settings": settings, "count": count, "shell": shell, "python": python,
}  # fmt: skip
