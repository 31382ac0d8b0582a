"""Why a request is not answered with a result."""

from __future__ import annotations

from torchship.errors import TorchshipError


class Refusal(Exception):  # noqa: N818 - it is an answer, not a failure of the server
    """A status of the contract, a sentence for the client, and header lines where the status wants them."""

    def __init__(self, status: int, what: str, *, headers: bytes = b"") -> None:
        super().__init__(what)
        self.status = status
        self.what = what
        self.headers = headers


def from_error(error: TorchshipError) -> Refusal:
    """What the client is told of an input that doesn't fit."""
    return Refusal(400, f"{error.what}; {error.hint}" if error.hint else error.what)
