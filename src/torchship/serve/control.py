"""What the supervisor and a worker tell each other: one JSON line a message, over a socket pair."""

from __future__ import annotations

import contextlib
import socket

import msgspec

from torchship import errors


class Ready(msgspec.Struct, tag=True):
    """From a worker: the model answers. ``quick``: it runs in the event loop, so that one worker a core is best."""

    artifact: str
    quick: bool
    rows: int
    notes: list[str] = []


class Failed(msgspec.Struct, tag=True):
    """From a worker: it can't serve. ``kind``: the error's class."""

    kind: str
    what: str
    where: str | None = None
    hint: str | None = None

    @classmethod
    def of(cls, error: Exception) -> Failed:
        """Make an error ready to travel."""
        if isinstance(error, errors.TorchshipError):
            return cls(type(error).__name__, error.what, error.where, error.hint)
        return cls("TorchshipError", f"{type(error).__name__}: {error}", None, "run it again with --debug")

    def error(self) -> errors.TorchshipError:
        """The error again; a kind that isn't of ``errors`` comes as the root."""
        kind = getattr(errors, self.kind) if self.kind in errors.__all__ else errors.TorchshipError
        raised: errors.TorchshipError = kind(self.what, where=self.where, hint=self.hint)
        return raised


class Open(msgspec.Struct, tag=True):
    """To a worker: take connections."""


class Drain(msgspec.Struct, tag=True):
    """To a worker: answer what is under way, and end."""


Message = Ready | Failed | Open | Drain
_decode = msgspec.json.Decoder(Message).decode


class Channel:
    """One end of the pair."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._rest = b""

    @staticmethod
    def pair() -> tuple[Channel, Channel]:
        """Both ends."""
        one, other = socket.socketpair()
        return Channel(one), Channel(other)

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def send(self, message: Message) -> None:
        """Send a message; whether the other end is still there shows when reading."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(msgspec.json.encode(message) + b"\n")

    def receive(self) -> list[Message] | None:
        """Give what has come, waiting for something if nothing has; None once the other end is closed."""
        try:
            read = self._socket.recv(65536)
        except ConnectionResetError:
            return None
        if not read:
            return None
        *lines, self._rest = (self._rest + read).split(b"\n")
        return [_decode(line) for line in lines]

    def close(self) -> None:
        """Close this end."""
        self._socket.close()
