"""An HTTP request on its way through the batcher."""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING

from torchship.runtime.labels import label_of
from torchship.serve import metrics
from torchship.serve.board import Row
from torchship.serve.http.exchange import Exchange
from torchship.serve.refusal import Refusal
from torchship.serve.v2.reader import Question
from torchship.serve.work import Work
from torchship.targets import Array

if TYPE_CHECKING:
    from torchship.serve.model import ServedModel

_PARSE, _QUEUE, _INFER, _WRITE, _TOTAL = (
    metrics.STAGES[stage].observe for stage in ("parse", "queue", "infer", "write", "total")
)


class Call(Work):
    """Carries the answer back, and notes how long each stage took."""

    __slots__ = ("_exchange", "_row", "_submitted", "model")

    def __init__(self, model: ServedModel, exchange: Exchange, arrays: list[Array], timeout: float, row: Row) -> None:
        super().__init__(arrays, exchange.arrived + int(timeout * 1e9))
        self.model = model
        self._exchange = exchange
        self._row = row
        self._submitted = self.queued
        exchange.waiter = self

    def abandon(self) -> None:
        """The client is gone."""
        super().abandon()
        self._row[metrics.DROPPED_GONE] += 1

    def refuse(self, refusal: Refusal) -> None:
        """Send why not."""
        self._exchange.refuse(refusal)

    def answer(self, outputs: list[Array]) -> None:
        """Send the answer."""
        self.write(self._exchange, outputs)
        row = self._row
        now = perf_counter_ns()
        arrived = self._exchange.arrived
        row[metrics.ANSWERED] += 1
        _PARSE(row, self._submitted - arrived)
        _QUEUE(row, self.begun - self._submitted)
        _INFER(row, self.done - self.begun)
        _WRITE(row, now - self.done)
        _TOTAL(row, now - arrived)

    def write(self, exchange: Exchange, outputs: list[Array]) -> None:
        """Send ``outputs`` in the form that was asked for."""
        raise NotImplementedError


class InferCall(Call):
    """``…/infer``."""

    __slots__ = ("question",)

    question: Question

    def write(self, exchange: Exchange, outputs: list[Array]) -> None:
        """As the protocol has it."""
        exchange.reply(200, *self.model.writer.write(self.question, outputs))


class PredictCall(Call):
    """``…/predict``: answered as ``torchship predict --json`` does."""

    __slots__ = ()

    def write(self, exchange: Exchange, outputs: list[Array]) -> None:
        """Nested lists by name, and the label where the model has labels."""
        shipped = self.model.shipped
        exchange.reply_json(
            {
                "outputs": {name: array.tolist() for name, array in shipped.named(outputs).items()},
                "label": label_of(outputs[0], shipped.labels),
                "artifact": shipped.artifact.name,
            }
        )
