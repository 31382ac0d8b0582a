"""Numbers that all processes of a server share: a row of cells a worker, in one anonymous mapping.

A worker writes its own row alone, so nothing needs a lock; whoever asks adds the rows up. Counters outlive a worker
that dies, as its successor goes on in the same row.
"""

from __future__ import annotations

import mmap

Row = memoryview  # of signed 64-bit cells


class Board:
    """``rows`` workers, ``cells`` numbers each. Made before the workers are forked, and inherited by them."""

    def __init__(self, rows: int, cells: int) -> None:
        self.rows = rows
        self.cells = cells
        self._map = mmap.mmap(-1, rows * cells * 8)
        self._all = memoryview(self._map).cast("q")

    def row(self, index: int) -> Row:
        """The cells of one worker, to write."""
        return self._all[index * self.cells : (index + 1) * self.cells]

    def total(self, cell: int) -> int:
        """One cell, added up over the workers."""
        return sum(self._all[cell :: self.cells]) if self.rows > 1 else self._all[cell]

    def column(self, cell: int) -> list[int]:
        """One cell of every worker."""
        return self._all[cell :: self.cells].tolist()

    def totals(self) -> list[int]:
        """All cells, added up over the workers."""
        return [self.total(cell) for cell in range(self.cells)]
