"""Quick tuning at a bundle's first load on a host: the threads of the artifact that was taken, and no more."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from torchship.bundle.artifact import Settings
from torchship.bundle.manifest import Shipped
from torchship.bundle.opening import Bundle
from torchship.measure import tuned
from torchship.measure.contest import Turn
from torchship.measure.cores import cores
from torchship.measure.latency import time_for
from torchship.measure.tuning import tune
from torchship.runtime.selftest import self_test
from torchship.runtime.typical import inputs_of, sizes_of
from torchship.targets import runner_of
from torchship.targets.adapter import open_session

_SECONDS = 1.0
_log = logging.getLogger("torchship")


def tune_quickly(bundle: Bundle, shipped: Shipped) -> tuned.Record:
    """Find the settings, keep them in the user's cache where it can be written to, and give them."""
    artifact = shipped.artifact
    size = sizes_of(bundle.manifest.signature, None)[0]
    inputs = inputs_of(bundle, size)

    @contextmanager
    def opening(settings: Settings) -> Iterator[Turn]:
        session = open_session(artifact, bundle.artifact_folder(artifact.name), bundle.manifest.signature, settings)
        try:
            self_test(bundle, shipped, session)
            yield lambda seconds: time_for(lambda: session.run(inputs), seconds)
        finally:
            session.close()

    def refusing(settings: Settings, error: Exception) -> None:
        _log.info("%s with %d threads is refused: %s", artifact.name, settings.threads, error)

    knobs = runner_of(artifact.target).knobs(artifact, cores())[:1]
    found = tune(artifact.settings, knobs, opening, _SECONDS, refusing)
    entry = tuned.Entry(artifact.name, found.settings, found.latency_ms, found.against, size, found.tried)
    try:
        tuned.write(bundle.folder, (entry,))
    except OSError as error:
        _log.warning("what was tuned can't be kept: %s", error)
    return tuned.Record("", (entry,))
