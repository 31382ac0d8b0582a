"""Pictures inside the page: PNG as a data URI."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt

_SIDE = 112  # pixels that a shown picture has at most: larger ones are scaled down
_LEAST = 8


def is_picture_like(array: npt.NDArray[Any]) -> bool:
    """Whether it can be shown: uint8 ``[n, 1 or 3, height, width]``."""
    return array.dtype == np.uint8 and array.ndim == 4 and array.shape[1] in (1, 3) and min(array.shape[2:]) >= _LEAST


def thumbnail(pixels: npt.NDArray[np.uint8]) -> str:
    """A picture, uint8 ``[1 or 3, height, width]``, as a data URI."""
    from PIL import Image

    image = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    image.thumbnail((_SIDE, _SIDE))
    return data_uri(image)


def data_uri(image: Any) -> str:
    """A PIL image as ``data:image/png``."""
    written = io.BytesIO()
    image.save(written, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode("ascii")
