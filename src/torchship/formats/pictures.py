"""Reads a PNG or JPEG picture as the bytes that a model takes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from torchship.errors import InputError, MalformedError

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_MAX_PIXELS = 1 << 27  # of a picture that may have any size
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height
_ORIENTATION = 0x0112


def is_picture(head: bytes) -> bool:
    """Whether a file that begins so claims to be a PNG or a JPEG."""
    return head.startswith((_PNG, _JPEG))


def read_picture(raw: bytes, channels: int, size: tuple[int | None, int | None], name: str) -> npt.NDArray[np.uint8]:
    """Give a picture as uint8 ``[channels, height, width]``: grey (ITU-R 601) for one channel, RGB for three.

    Turned as its EXIF orientation says; what is transparent lies on black. Its size is checked before it is decoded.

    Args:
        raw: the file's bytes.
        channels: 1 or 3.
        size: the height and width that it must have; None where any will do.
        name: for the errors.

    Raises:
        MalformedError: it can't be read, or is cut short.
        InputError: it has another size; names both.
    """
    with _opened(raw, name) as image:
        _check_size(image, size, name)
        return _pixels(_on_black(_turned(image)), channels)


def picture_channels(raw: bytes, name: str) -> int:
    """1 for a grey picture, 3 for any other; raises MalformedError."""
    with _opened(raw, name) as image:
        return 1 if image.mode in ("1", "L", "LA") or image.mode.startswith("I") else 3


@contextmanager
def _opened(raw: bytes, name: str) -> Iterator[Image]:
    """Open a picture by the one plug-in that its kind needs: ``Image.open`` would load all of PIL's."""
    try:
        with _plug_in(raw)(io.BytesIO(raw)) as image:
            yield image
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise MalformedError(f"{name} is no readable PNG or JPEG: {error}", where=name) from error


def _plug_in(raw: bytes) -> type[ImageFile]:
    if raw.startswith(_PNG):
        from PIL.PngImagePlugin import PngImageFile

        return PngImageFile
    from PIL.JpegImagePlugin import JpegImageFile

    return JpegImageFile


def _check_size(image: Image, size: tuple[int | None, int | None], name: str) -> None:
    """Before anything is decoded; where a PNG's EXIF is asked for, it is."""
    width, height = image.size
    if width * height > _MAX_PIXELS:
        raise InputError(f"{name} is {width}x{height} pixels, at most {_MAX_PIXELS} are decoded", hint="scale it down")
    if sorted(_wanted(size, height, width)) == sorted((height, width)) and _is_turned(image):
        width, height = height, width
    want_height, want_width = _wanted(size, height, width)
    if (height, width) != (want_height, want_width):
        raise InputError(
            f"{name} is {width}x{height} pixels, the model takes {want_width}x{want_height}",
            hint=f"scale it to {want_width}x{want_height} first",
        )


def _wanted(size: tuple[int | None, int | None], height: int, width: int) -> tuple[int, int]:
    return (height if size[0] is None else size[0], width if size[1] is None else size[1])


def _is_turned(image: Image) -> bool:
    return image.getexif().get(_ORIENTATION) in _TURNED


def _turned(image: Image) -> Image:
    if image.getexif().get(_ORIENTATION, 1) == 1:
        return image
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def _on_black(image: Image) -> Image:
    """Take the transparency away."""
    if not image.has_transparency_data or image.mode.startswith("I"):
        return image
    import PIL.Image

    layer = image.convert("RGBA")
    return PIL.Image.alpha_composite(PIL.Image.new("RGBA", layer.size, (0, 0, 0, 255)), layer).convert("RGB")


def _pixels(image: Image, channels: int) -> npt.NDArray[Any]:
    if image.mode.startswith("I"):  # 16 bits a pixel: PIL would clip instead of scaling
        grey = (np.asarray(image) // 257).astype(np.uint8)
        return np.ascontiguousarray(np.broadcast_to(grey, (channels, *grey.shape)))
    if channels == 1:
        return np.asarray(image.convert("L"))[None]
    return np.ascontiguousarray(np.asarray(image.convert("RGB")).transpose(2, 0, 1))
