"""MNIST's four idx files of twenty digits, as bytes and as a folder."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from torchship.digits import data

COUNT = 20
IMAGES = data.split().train.images[:COUNT]
LABELS = data.split().train.labels[:COUNT]
IMAGE_FILE = struct.pack(">4B3I", 0, 0, 8, 3, COUNT, 28, 28) + IMAGES.tobytes()
LABEL_FILE = struct.pack(">4B1I", 0, 0, 8, 1, COUNT) + LABELS.tobytes()
FILES = {
    "train-images-idx3-ubyte": IMAGE_FILE,
    "train-labels-idx1-ubyte": LABEL_FILE,
    "t10k-images-idx3-ubyte": IMAGE_FILE,
    "t10k-labels-idx1-ubyte": LABEL_FILE,
}


def plain(content: bytes) -> bytes:
    return content


def folder_with(folder: Path, packing: Callable[[bytes], bytes] = plain, end: str = "", **changed: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in (FILES | {key.replace("_", "-"): value for key, value in changed.items()}).items():
        (folder / f"{name}{end}").write_bytes(packing(content))
    return folder
