"""What the user asked ``ship`` for."""

from __future__ import annotations

from pathlib import Path

import msgspec

from torchship.measure.choose import Constraints
from torchship.models.source import PythonObject


class ShipOptions(msgspec.Struct, frozen=True):
    """``targets``: the LIST of the contract. ``timeout``: seconds for one step of one worker. ``jobs``: at once."""

    output: Path
    targets: str = "server"
    evaluate: Path | PythonObject | None = None
    constraints: Constraints = Constraints()
    timeout: float = 600.0
    jobs: int = 2
