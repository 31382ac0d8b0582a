"""Everything that a worker answers, by path."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from torchship.serve import metrics
from torchship.serve.board import Board, Row
from torchship.serve.http.exchange import Exchange
from torchship.serve.inference import Inference
from torchship.serve.model import ServedModel
from torchship.serve.refusal import Refusal
from torchship.serve.routes import Routes
from torchship.serve.settings import ServeSettings
from torchship.serve.v2 import metadata

Ready = Callable[[], bool]


class IndexRequest(msgspec.Struct):
    """``ready``: only what is ready is wanted."""

    ready: bool = False


class Resources:
    """The pages that aren't inference. ``ready``: whether this worker takes inference requests."""

    def __init__(self, model: ServedModel, board: Board, ready: Ready) -> None:
        self._model = model
        self._board = board
        self._ready = ready

    def live(self, exchange: Exchange) -> None:
        """The process answers."""
        exchange.reply_json({"live": True})

    def ready(self, exchange: Exchange) -> None:
        """The server can infer."""
        exchange.reply_json({"ready": self._ready()}, 200 if self._ready() else 503)

    def model_ready(self, exchange: Exchange) -> None:
        """The model can be asked."""
        exchange.reply_json({"name": self._model.name, "ready": self._ready()}, 200 if self._ready() else 503)

    def server(self, exchange: Exchange) -> None:
        """The server's metadata."""
        exchange.reply_json(metadata.server)

    def model(self, exchange: Exchange) -> None:
        """The model's metadata."""
        exchange.reply_json(metadata.model(self._model.name, self._model.version, self._model.shipped))

    def index(self, exchange: Exchange) -> None:
        """The models that there are."""
        try:
            request = msgspec.json.decode(exchange.body or b"{}", type=IndexRequest)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refusal(400, f"this isn't an index request: {error}") from error
        state = "READY" if self._ready() else "UNAVAILABLE"
        row = {"name": self._model.name, "version": self._model.version, "state": state, "reason": ""}
        exchange.reply_json([row] if self._ready() or not request.ready else [])

    def metrics(self, exchange: Exchange) -> None:
        """All workers' numbers, whichever of them is asked."""
        model = self._model
        text = metrics.exposition(self._board, model.name, model.version, model.shipped.artifact.name)
        exchange.reply(200, metrics.CONTENT_TYPE, (text,))


def routes(model: ServedModel, settings: ServeSettings, board: Board, row: Row, ready: Ready) -> Routes:
    """Lay out the paths."""
    pages = Resources(model, board, ready)
    inference = Inference(model, settings, row)
    table = Routes()
    for method, path, handler in (
        (b"GET", "/v2", pages.server),
        (b"GET", "/v2/", pages.server),
        (b"GET", "/v2/health/live", pages.live),
        (b"GET", "/v2/health/ready", pages.ready),
        (b"POST", "/v2/repository/index", pages.index),
        (b"GET", "/v2/repository/index", pages.index),
        (b"GET", "/metrics", pages.metrics),
    ):
        table.add(method, path, handler)
    for method, below, handler in (
        (b"GET", "", pages.model),
        (b"GET", "/ready", pages.model_ready),
        (b"POST", "/infer", inference.infer),
        (b"POST", "/predict", inference.predict),
    ):
        table.add_model(method, model.name, model.version, below, handler)
    return table
