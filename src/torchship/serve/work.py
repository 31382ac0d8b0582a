"""What waits for the model: arrays that were checked, and someone who wants the answer."""

from __future__ import annotations

import abc
from collections.abc import Callable
from time import perf_counter_ns

import numpy as np

from torchship.serve.refusal import Refusal
from torchship.targets import Array

Sizes = tuple[tuple[int, ...], ...]


class Work(abc.ABC):
    """One request's inputs. ``rows``: the size of the batch axis. Only works of equal ``sizes`` can be one batch.

    ``deadline``, ``queued``, ``begun`` and ``done`` are ``perf_counter_ns``. Exactly one of ``answer`` and ``refuse``
    is called, on the event loop, unless it is ``gone`` by then.
    """

    __slots__ = ("arrays", "begun", "deadline", "done", "gone", "queued", "rows", "sizes")

    def __init__(self, arrays: list[Array], deadline: int) -> None:
        self.arrays = arrays
        self.rows = len(arrays[0]) if arrays and arrays[0].ndim else 1
        self.sizes: Sizes = tuple([array.shape[1:] for array in arrays])
        self.deadline = deadline
        self.queued = perf_counter_ns()
        self.begun = self.done = 0
        self.gone = False

    def abandon(self) -> None:
        """Nobody wants the answer any more."""
        self.gone = True

    @abc.abstractmethod
    def answer(self, outputs: list[Array]) -> None:
        """The outputs in the signature's order; they may be views into those of a whole batch."""

    @abc.abstractmethod
    def refuse(self, refusal: Refusal) -> None:
        """There will be no outputs."""


class Pieces(Work):
    """A work of more rows than a batch has, in pieces one after the other: others get their turn between them."""

    __slots__ = ("_answers", "_at", "_enqueue", "_size", "_whole")

    def __init__(self, whole: Work, size: int, enqueue: Callable[[Work], None]) -> None:
        super().__init__([array[:size] for array in whole.arrays], whole.deadline)
        self._whole = whole
        self._size = size
        self._at = size
        self._answers: list[list[Array]] = []
        self._enqueue = enqueue

    def answer(self, outputs: list[Array]) -> None:
        """Keep these rows; go on with the next, or answer the whole."""
        whole = self._whole
        whole.begun = whole.begun or self.begun
        self._answers.append(outputs)
        if whole.gone:
            return
        if self._at < whole.rows:
            self.arrays = [array[self._at : self._at + self._size] for array in whole.arrays]
            self.rows = len(self.arrays[0])
            self._at += self._size
            self._enqueue(self)
        else:
            whole.done = self.done
            whole.answer([np.concatenate(parts) for parts in zip(*self._answers, strict=True)])

    def refuse(self, refusal: Refusal) -> None:
        """One piece was refused: so is the whole."""
        if not self._whole.gone:
            self._whole.refuse(refusal)
