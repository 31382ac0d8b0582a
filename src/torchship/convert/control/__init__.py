"""Python's control flow as the graph's: ``if``, ``for`` and ``while`` on what isn't known while a graph is made."""

from torchship.convert.control.entering import graph_control

__all__ = ["graph_control"]
