"""Types of the fixtures that run commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Ask = Callable[..., tuple[int, Any]]
Tell = Callable[..., tuple[int, str, str]]
