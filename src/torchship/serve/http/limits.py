"""What a client may do to a worker."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Limits:
    """Times are seconds, sizes bytes.

    ``pace``: bytes a second that a body must come at on the average, once ``patience`` has passed.
    ``linger``: how long what a refused client still sends is read and thrown away, so that it gets to read why.
    """

    body: int
    head: int = 32 * 1024
    headers: int = 100
    connections: int = 4096
    idle: float = 75.0
    patience: float = 20.0
    pace: int = 8 * 1024
    linger: float = 10.0
