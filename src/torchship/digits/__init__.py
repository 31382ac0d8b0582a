"""The worked example: real handwritten digits, two nets, and their training.

``data``, ``idx`` and ``recognise`` need no torch; the rest does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torchship.digits.recognise import is_digits

if TYPE_CHECKING:
    from torchship.digits.shipping import Source

__all__ = ["is_digits", "source"]


def source(path: Path) -> Source:
    """What ``ship`` needs of a file that ``train digits`` wrote; see `shipping.source`. Imports torch when called."""
    from torchship.digits import shipping

    return shipping.source(path)
