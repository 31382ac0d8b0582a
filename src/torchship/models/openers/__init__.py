"""One file a kind of source. Each offers ``recognises(source) -> bool`` and ``describe(source) -> Description``.

They are asked in the order of their names' ``RANK``, least first: the surest recognition comes first.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Protocol, cast

from torchship.errors import SourceError
from torchship.models.model import Description
from torchship.models.source import Source


class Opener(Protocol):
    """What each file of this folder is."""

    RANK: int

    def recognises(self, source: Source) -> bool:
        """Tell whether this opener is for ``source``, by its form or content, never by its extension alone."""
        ...

    def describe(self, source: Source) -> Description:
        """Open it."""
        ...


def describe(source: Source) -> Description:
    """Open ``source`` with the opener that recognises it."""
    names = [info.name for info in pkgutil.iter_modules(__path__)]
    found = [cast(Opener, importlib.import_module(f"{__name__}.{name}")) for name in names]
    for opener in sorted(found, key=lambda each: each.RANK):
        if opener.recognises(source):
            return opener.describe(source)
    raise SourceError(f"{source.text} is no model that torchship knows")
