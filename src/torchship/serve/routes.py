"""Which path is answered by whom. Paths are looked up whole, so there is nothing to traverse."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from torchship.serve.http.exchange import Exchange
from torchship.serve.http.head import Head
from torchship.serve.refusal import Refusal

Handler = Callable[[Exchange], None]
Resource = dict[bytes, Handler]


class Routes:
    """Handlers by path and method."""

    def __init__(self) -> None:
        self._resources: dict[bytes, Resource] = {}
        self._models: list[str] = []

    def add(self, method: bytes, path: str, handler: Handler) -> None:
        """Answer ``path`` by ``handler``; what GET answers, HEAD does too."""
        resource = self._resources.setdefault(path.encode(), {})
        resource[method] = handler
        if method == b"GET":
            resource[b"HEAD"] = handler

    def add_model(self, method: bytes, name: str, version: str, below: str, handler: Handler) -> None:
        """Answer a model's path, with and without its version."""
        if name not in self._models:
            self._models.append(name)
        self.add(method, f"/v2/models/{name}{below}", handler)
        self.add(method, f"/v2/models/{name}/versions/{version}{below}", handler)

    def handle(self, exchange: Exchange) -> None:
        """Answer a request, or begin to.

        Raises:
            Refusal: 404 where there is nothing, 405 with ``Allow`` where the method is another.
        """
        head = exchange.head
        if head.handler is None:
            head.handler = self._handler(head)
        head.handler(exchange)

    def _handler(self, head: Head) -> Handler:
        resource = self._resources.get(head.path) or self._respelt(head.path)
        handler = resource.get(head.method)
        if handler is None:
            allowed = ", ".join(sorted(method.decode() for method in resource))
            told = f"{head.method.decode('latin-1')} isn't answered here; {allowed} is"
            raise Refusal(405, told, headers=f"allow: {allowed}\r\n".encode())
        return handler

    def _respelt(self, path: bytes) -> Resource:
        """Look again for a path that is percent-encoded, or a whole URL."""
        if path.startswith((b"http://", b"https://")):
            path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
        plain = unquote_to_bytes(path)
        resource = self._resources.get(plain)
        if resource is None:
            raise self._nothing([part.decode("utf-8", "replace") for part in plain.split(b"/")])
        return resource

    def _nothing(self, parts: list[str]) -> Refusal:
        if parts[:3] == ["", "v2", "models"] and len(parts) > 3:
            if parts[3] not in self._models:
                return Refusal(404, f"there is no model {parts[3][:100]!r}; this server has: {', '.join(self._models)}")
            if len(parts) > 5 and parts[4] == "versions":
                return Refusal(404, f"the model {parts[3]} has no version {parts[5][:100]!r}, or no such path below it")
        return Refusal(404, "there is nothing at this path; the protocol's paths begin with /v2")
