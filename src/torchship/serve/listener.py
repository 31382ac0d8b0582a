"""The socket that all workers accept from."""

from __future__ import annotations

import errno
import socket

from torchship.errors import TorchshipError, UsageError

_BACKLOG = 1024


def reserve(host: str, port: int) -> socket.socket:
    """Bind, so that the port is ours, and don't open it yet: who connects is refused until ``open_up``.

    Raises:
        UsageError: there is no such host.
        TorchshipError: the port is in use, or not ours to take.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise UsageError(f"there is no host {host!r} here: {error.strerror}", hint="--host 127.0.0.1") from error
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _refused(error, host, port) from error
    return listener


def open_up(listener: socket.socket) -> None:
    """Let clients connect; raises TorchshipError where somebody else took the port in between."""
    try:
        listener.listen(_BACKLOG)
    except OSError as error:
        host, port = listener.getsockname()[:2]
        raise _refused(error, host, port) from error


def url(listener: socket.socket) -> str:
    """Where it listens."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _refused(error: OSError, host: str, port: int) -> TorchshipError:
    if error.errno == errno.EADDRINUSE:
        return TorchshipError(f"port {port} of {host} is in use", hint="end what holds it, or --port 0 for a free one")
    if error.errno == errno.EACCES:
        return TorchshipError(f"port {port} needs rights that this user lacks", hint="--port 8000, or any above 1023")
    return TorchshipError(f"can't listen on port {port} of {host}: {error.strerror}", hint="--host 127.0.0.1 --port 0")
