"""The handlers of ``…/infer`` and ``…/predict``: from a request to work for the batcher."""

from __future__ import annotations

import dataclasses
import io

from torchship.errors import RefusedError
from torchship.formats import zips
from torchship.runtime.inputs import named_inputs
from torchship.serve import metrics
from torchship.serve.board import Row
from torchship.serve.calls import InferCall, PredictCall
from torchship.serve.http.coding import decoded
from torchship.serve.http.exchange import Exchange, Part
from torchship.serve.http.head import Head
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


@dataclasses.dataclass(frozen=True, slots=True)
class Terms:
    """What the head of an inference request says.

    ``coding``: of the body; None where it is plain. ``head_length``: of the JSON where bytes follow it. ``timeout``:
    seconds, where one is given.
    """

    coding: bytes | None
    head_length: int | None
    timeout: float | None


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
            terms: Terms = exchange.head.terms or _terms(exchange.head, _JSON_KINDS)
            question, arrays = model.reader.read(self._body(exchange, terms), terms.head_length)
        except Refusal:
            self._row[metrics.DROPPED_WRONG] += 1
            raise
        timeout = question.timeout if question.timeout is not None else terms.timeout
        call = InferCall(model, exchange, arrays, self._within(timeout), self._row)
        call.question = question
        model.batcher.submit(call)

    def predict(self, exchange: Exchange) -> None:
        """Take a picture, an ``.npy`` or ``.npz`` file, or JSON, as ``torchship predict`` does."""
        model = self._model
        model.batcher.admit()
        try:
            terms: Terms = exchange.head.terms or _terms(exchange.head, _PREDICT_KINDS)
            raw = bytes(self._body(exchange, terms))
            self._check_unpacked(raw)
            arrays = model.shipped.check(named_inputs(raw, model.shipped.signature, "the body"))
            check_numbers(model.shipped.signature, arrays)
        except RefusedError as error:
            self._row[metrics.DROPPED_WRONG] += 1
            raise from_error(error) from error
        except Refusal:
            self._row[metrics.DROPPED_WRONG] += 1
            raise
        model.batcher.submit(PredictCall(model, exchange, arrays, self._within(terms.timeout), self._row))

    def _body(self, exchange: Exchange, terms: Terms) -> Part:
        body = exchange.body
        return body if terms.coding is None else decoded(body, terms.coding, self._settings.max_body)

    def _within(self, timeout: float | None) -> float:
        """Seconds: the client's, but never more than the server's."""
        most = self._settings.timeout
        return most if timeout is None else min(timeout, most)

    def _check_unpacked(self, raw: bytes) -> None:
        limit = self._settings.max_body
        if zips.is_zip(raw[:4]) and sum(member.size for member in zips.members(io.BytesIO(raw))) > limit:
            raise Refusal(413, f"the .npz is larger than {limit} bytes when it is unpacked")


def _terms(head: Head, kinds: set[bytes]) -> Terms:
    """Read the head, and leave what it says there: the next request may have the same."""
    headers = head.headers
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind not in kinds:
        told = kind.decode("latin-1")
        raise Refusal(415, f"the content type {told!r} isn't taken here; send application/json")
    milliseconds = _whole(headers, b"x-request-timeout-ms", "milliseconds")
    if milliseconds == 0:
        raise Refusal(400, "x-request-timeout-ms must be more than none")
    terms = Terms(
        coding=headers.get(b"content-encoding"),
        head_length=_whole(headers, b"inference-header-content-length", "bytes"),
        timeout=None if milliseconds is None else milliseconds / 1e3,
    )
    head.terms = terms
    return terms


def _whole(headers: dict[bytes, bytes], name: bytes, unit: str) -> int | None:
    told = headers.get(name)
    if told is None:
        return None
    if not told.isdigit() or len(told) > 18:
        raise Refusal(400, f"{name.decode()} must be a whole number of {unit}")
    return int(told)
