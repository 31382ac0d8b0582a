"""Each model is opened once for the whole run, and converted once by each route."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import torch

from targets.specimens import Specimen, Specimens, specimen


@pytest.fixture(scope="session")
def specimens(tmp_path_factory: pytest.TempPathFactory) -> Specimens:
    """Give the specimen of a model by its name in ``models.py``."""
    known: dict[str, Specimen] = {}

    def of(name: str) -> Specimen:
        if name not in known:
            known[name] = specimen(name, tmp_path_factory.mktemp(name))
        return known[name]

    return of


@pytest.fixture(scope="session", autouse=True)
def _sparing() -> Iterator[None]:
    """Small models want one thread; and what torch tells of a capture is megabytes, which pytest would keep."""
    trace, threads = logging.getLogger("torch.__trace"), torch.get_num_threads()
    before, trace.disabled = trace.disabled, True
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    trace.disabled = before
