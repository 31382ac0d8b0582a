"""What can't be put into plainer operators."""

from __future__ import annotations


class UnloweredError(Exception):
    """Says why, and on a second line the way out; the place is found by whoever diagnoses it."""

    def __init__(self, why: str, way: str) -> None:
        super().__init__(f"{why}\n{way}")
