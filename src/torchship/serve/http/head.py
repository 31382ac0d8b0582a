"""The head of a request, and a memory of heads that were seen before."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torchship.serve.http.exchange import Exchange

_MOST = 512
_LONGEST = 2048


class Head:
    """A parsed head. Header names are in lower case; ``length`` is that of the body to come. Never changed.

    ``handler`` and ``terms`` are for whoever answers it to note what follows from the head alone.
    """

    __slots__ = ("handler", "headers", "keep_alive", "length", "method", "path", "query", "terms")

    def __init__(
        self, method: bytes, target: bytes, headers: dict[bytes, bytes], length: int = 0, keep_alive: bool = True
    ) -> None:
        self.method = method
        self.path, _, self.query = target.partition(b"?")
        self.headers = headers
        self.length = length
        self.keep_alive = keep_alive
        self.handler: Callable[[Exchange], None] | None = None
        self.terms: Any = None


class Heads:
    """Heads by their bytes: a client that asks again sends the same, which needs no parsing a second time."""

    def __init__(self) -> None:
        self._heads: dict[bytes, Head] = {}
        self.get = self._heads.get

    def put(self, raw: bytes, head: Head) -> None:
        """Remember one; all are forgotten when there are too many."""
        if len(raw) <= _LONGEST:
            if len(self._heads) >= _MOST:
                self._heads.clear()
            self._heads[raw] = head

    def clear(self) -> None:
        """Forget all: what followed from them may have changed."""
        self._heads.clear()
