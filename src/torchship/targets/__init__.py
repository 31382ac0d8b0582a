"""One folder a format: ``build.py`` makes an artifact (and may use torch), ``run.py`` opens it (and never does).

A target is found by its folder's name here, or by the entry-point group ``torchship.targets`` (name to package) for
other people's. A folder's ``__init__`` says in ``GROUP`` which list it belongs to: ``server`` or ``edge``.
"""

from torchship.targets.registry import builder_of, group, known, runner_of
from torchship.targets.runner import Array, Needs, Runner, Session

__all__ = ["Array", "Needs", "Runner", "Session", "builder_of", "group", "known", "runner_of"]
