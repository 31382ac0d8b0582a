"""HTTP/1.1 on asyncio and llhttp (``httptools``). Knows nothing of models."""

from torchship.serve.http.connection import Connection
from torchship.serve.http.exchange import Exchange
from torchship.serve.http.head import Head
from torchship.serve.http.limits import Limits
from torchship.serve.http.site import Site

__all__ = ["Connection", "Exchange", "Head", "Limits", "Site"]
