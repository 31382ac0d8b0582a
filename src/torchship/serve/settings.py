"""What a server is told."""

from __future__ import annotations

import dataclasses
from pathlib import Path

MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class ServeSettings:
    """How to serve one bundle. Times are seconds, sizes bytes.

    ``workers``: processes; 0 leaves it to the model (one a core where it is quick, else one for all cores).
    ``threads``: intra-op threads of a session. ``max_batch``: rows; 0 leaves it to a measurement at start.
    ``max_queue``: requests that may wait over all workers; what comes beyond is answered 429.
    ``timeout``: how long a request may wait and run where it doesn't say itself.
    """

    bundle: Path
    name: str
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 0
    artifact: str | None = None
    threads: int = 1
    max_batch: int = 0
    max_queue: int = 512
    max_body: int = 64 * MIB
    max_connections: int = 4096
    timeout: float = 30.0
    drain: float = 30.0
