"""The handlers of ``…/infer`` and ``…/predict``: from a request to work for the batcher."""

from __future__ import annotations

import io

from torchship.errors import RefusedError
from torchship.formats import zips
from torchship.runtime.inputs import named_inputs
from torchship.serve import metrics
from torchship.serve.board import Row
from torchship.serve.calls import InferCall, PredictCall
from torchship.serve.http.coding import decoded
from torchship.serve.http.exchange import Exchange, Part
from torchship.serve.model import ServedModel
from torchship.serve.refusal import Refusal, from_error
from torchship.serve.settings import ServeSettings
from torchship.signature.check import check_numbers

_JSON_KINDS = {
    b"", b"application/json", b"application/octet-stream", b"text/json",
    b"application/x-www-form-urlencoded",  # what curl says of --data where nobody says otherwise
}  # fmt: skip
_PREDICT_KINDS = _JSON_KINDS | {
    b"image/png", b"image/jpeg", b"image/jpg", b"image/*", b"application/zip", b"application/x-npy",
    b"application/x-npz", b"application/x-numpy",
}  # fmt: skip
_HEAD_LENGTH = b"inference-header-content-length"
_TIMEOUT = b"x-request-timeout-ms"


class Inference:
    """Answers requests for one model."""

    def __init__(self, model: ServedModel, settings: ServeSettings, row: Row) -> None:
        self._model = model
        self._settings = settings
        self._row = row

    def infer(self, exchange: Exchange) -> None:
        """Take an inference request of the Open Inference Protocol."""
        model = self._model
        model.batcher.admit()
        try:
            body = self._body(exchange, _JSON_KINDS)
            request = model.reader.read(body, _head_length(exchange))
            timeout = self._timeout(exchange, request.timeout)
        except Refusal:
            self._row[metrics.DROPPED_WRONG] += 1
            raise
        call = InferCall(model, exchange, request.arrays, timeout, self._row)
        call.request = request
        model.batcher.submit(call)

    def predict(self, exchange: Exchange) -> None:
        """Take a picture, an ``.npy`` or ``.npz`` file, or JSON, as ``torchship predict`` does."""
        model = self._model
        model.batcher.admit()
        try:
            raw = bytes(self._body(exchange, _PREDICT_KINDS))
            self._check_unpacked(raw)
            arrays = model.shipped.check(named_inputs(raw, model.shipped.signature, "the body"))
            check_numbers(model.shipped.signature, arrays)
            timeout = self._timeout(exchange, None)
        except RefusedError as error:
            self._row[metrics.DROPPED_WRONG] += 1
            raise from_error(error) from error
        except Refusal:
            self._row[metrics.DROPPED_WRONG] += 1
            raise
        model.batcher.submit(PredictCall(model, exchange, arrays, timeout, self._row))

    def _body(self, exchange: Exchange, kinds: set[bytes]) -> Part:
        headers = exchange.headers
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind not in kinds:
            told = kind.decode("latin-1")
            raise Refusal(415, f"the content type {told!r} isn't taken here; send application/json")
        coding = headers.get(b"content-encoding")
        return exchange.body if coding is None else decoded(exchange.body, coding, self._settings.max_body)

    def _check_unpacked(self, raw: bytes) -> None:
        limit = self._settings.max_body
        if zips.is_zip(raw[:4]) and sum(member.size for member in zips.members(io.BytesIO(raw))) > limit:
            raise Refusal(413, f"the .npz is larger than {limit} bytes when it is unpacked")

    def _timeout(self, exchange: Exchange, own: float | None) -> float:
        """Seconds: the body's, else the header's, else the server's; never more than the server's."""
        most = self._settings.timeout
        if own is not None:
            return min(own, most)
        told = exchange.headers.get(_TIMEOUT)
        if told is None:
            return most
        if not told.isdigit() or len(told) > 9 or not int(told):
            raise Refusal(400, f"{_TIMEOUT.decode()} must be a whole number of milliseconds, more than none")
        return min(int(told) / 1e3, most)


def _head_length(exchange: Exchange) -> int | None:
    told = exchange.headers.get(_HEAD_LENGTH)
    if told is None:
        return None
    if not told.isdigit() or len(told) > 18:
        raise Refusal(400, f"{_HEAD_LENGTH.decode()} must be a whole number of bytes")
    return int(told)
