"""One request, and the way to answer it."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter_ns
from typing import Protocol

import msgspec

from torchship.serve.http.head import Head
from torchship.serve.refusal import Refusal

Part = bytes | bytearray | memoryview

JSON = b"application/json"
_encode = msgspec.json.Encoder().encode


class Carrier(Protocol):
    """What brings an answer to the client."""

    def send(self, status: int, kind: bytes, parts: Sequence[Part], headers: bytes) -> None:
        """Send the answer to the request that is under way."""
        ...


class Waiter(Protocol):
    """Work that is under way for a request."""

    def abandon(self) -> None:
        """The client is gone: nobody wants the answer any more."""
        ...


class Exchange:
    """A request that has arrived whole, and is answered once. ``arrived`` is ``perf_counter_ns``."""

    __slots__ = ("arrived", "body", "carrier", "head", "waiter")

    def __init__(self, carrier: Carrier, head: Head, body: Part) -> None:
        self.carrier = carrier
        self.head = head
        self.body = body
        self.arrived = perf_counter_ns()
        self.waiter: Waiter | None = None

    def reply(self, status: int, kind: bytes, parts: Sequence[Part], headers: bytes = b"") -> None:
        """Answer it, once. ``headers`` are whole header lines; a client that is gone is no error."""
        self.waiter = None
        self.carrier.send(status, kind, parts, headers)

    def reply_json(self, value: object, status: int = 200) -> None:
        """Answer with anything that msgspec encodes."""
        self.reply(status, JSON, (_encode(value),))

    def refuse(self, refusal: Refusal) -> None:
        """Answer with an error as the contract has it."""
        self.reply(refusal.status, JSON, (_encode({"error": refusal.what}),), refusal.headers)
