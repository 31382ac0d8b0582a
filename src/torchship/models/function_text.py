"""The text of a function, as a tree with the line numbers of its file."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any


def parsed(function: Callable[..., Any]) -> ast.Module | None:
    """Parse ``function``'s own text; None where it has none, or none that stands alone."""
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):
        return None
    ast.increment_lineno(tree, first - 1)
    return tree
