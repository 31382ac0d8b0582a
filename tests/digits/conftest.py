from __future__ import annotations

from pathlib import Path

import pytest

from torchship.digits import checkpoint, data, training


@pytest.fixture(scope="session")
def linear(tmp_path_factory) -> Path:
    """A linear net of one epoch, as `train digits` writes it."""
    path = tmp_path_factory.mktemp("digits") / "linear.pth"
    trained = training.start(training.Recipe(arch="linear"))
    training.train(trained, data.split().train, epochs=1)
    checkpoint.save(trained, path)
    return path


@pytest.fixture(scope="session")
def few() -> data.Digits:
    """320 digits to train on: enough for every operator to run."""
    return data.split().train.take(range(320))
