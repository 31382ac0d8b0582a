"""Who made a bundle: a signature by one of the keys that the loader trusts. Checked before anything is opened."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from torchship.errors import UnavailableError

Key = str | os.PathLike[str]


def check_trust(bundle: str | os.PathLike[str], trusted_keys: Sequence[Key] | None) -> None:
    """Check that one of ``trusted_keys`` signed ``bundle``; None asks for no signature.

    Raises:
        UnavailableError: always where keys are given: this version has no signatures yet, and says so rather than
            letting an unsigned bundle pass for a trusted one.
    """
    if trusted_keys is not None:
        raise UnavailableError(
            "this version of torchship can't check signatures yet, and a trusted key was asked for",
            where=str(Path(bundle)),
            hint="leave the key out to check integrity alone (every file's hash, not who made it)",
        )
