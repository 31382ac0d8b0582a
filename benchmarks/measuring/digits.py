"""The digits CNN as a bundle, trained and shipped as a user would, once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

WORK = Path(__file__).parents[1] / "results" / "work"
TORCHSHIP = Path(sys.executable).with_name("torchship")


def bundle(given: str | None) -> Path:
    """Give the bundle at ``given``, or make one."""
    if given is not None:
        return Path(given)
    path = WORK / "digits"
    if not path.exists():
        WORK.mkdir(parents=True, exist_ok=True)
        net = WORK / "digits.pth"
        subprocess.run([TORCHSHIP, "train", "digits", "-o", net, "--epochs", "2"], check=True)
        subprocess.run([TORCHSHIP, "ship", net, "-o", path, "--targets", "onnx"], check=True)
    return path


def model_file(path: Path) -> Path:
    """The plain ``.onnx`` file in it, which the peers run too."""
    return next((path / "artifacts" / "onnx").glob("*.onnx"))


def images(count: int) -> np.ndarray:
    """Held-out digits, uint8 [count, 1, 28, 28]."""
    from torchship.digits.data import split

    return np.ascontiguousarray(split().held_out.batch()[:count])
