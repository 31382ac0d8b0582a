"""Files of inputs, told apart by their content."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from small_bundle import SIGNATURE, images
from torchship.errors import InputError, MalformedError, RefusedError, UnsafeError
from torchship.runtime.inputs import free_inputs, named_inputs
from torchship.signature import Constant, Signature, TensorSpec

_TWO = Signature((TensorSpec("a", "float32", (2,)), TensorSpec("b", "int64", ())), (), (), (), Constant(None))


def _npy(array: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def _npz(**arrays: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def _picture(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def test_arrays() -> None:
    image = images(2)
    assert named_inputs(_npy(image), SIGNATURE, "x")["image"].tolist() == image.tolist()
    assert named_inputs(_npz(image=image), SIGNATURE, "x")["image"].tolist() == image.tolist()
    assert named_inputs(_npz(anything=image), SIGNATURE, "x").keys() == {"anything"}
    fortran = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert named_inputs(_npy(fortran), SIGNATURE, "x")["image"].tolist() == fortran.tolist()


@pytest.mark.parametrize(
    "raw", [b'{"inputs": {"a": [1, 2], "b": 3}}', b'{"a": [1, 2], "b": 3}', b'\n {"b": 3, "a": [1, 2]}']
)
def test_json_by_names(raw: bytes) -> None:
    assert named_inputs(raw, _TWO, "x") == {"a": [1, 2], "b": 3}


def test_json_lists_alone_where_there_is_one_input() -> None:
    assert named_inputs(b"[[1, 2]]", SIGNATURE, "x") == {"image": [[1, 2]]}
    assert named_inputs(b'{"inputs": [[1]]}', SIGNATURE, "x") == {"image": [[1]]}
    with pytest.raises(InputError, match="holds one array, the model takes a, b"):
        named_inputs(b"[1]", _TWO, "x.json")


@pytest.mark.parametrize(
    ("raw", "error", "why"),
    [
        (b"", MalformedError, "x is empty"),
        (b"{", MalformedError, "neither an array, a picture nor JSON"),
        (b'{"image": NaN}', MalformedError, "neither an array, a picture nor JSON"),
        (b"[" * 100_000, MalformedError, "neither an array, a picture nor JSON"),
        (b"\x80\x04.", MalformedError, "neither an array, a picture nor JSON"),
        (_npy(np.array([{}], object)), UnsafeError, "holds Python objects, which are pickled"),
        (_npy(np.zeros(3))[:-1], MalformedError, "declares 24 bytes of data and holds 23"),
        (_npy(np.zeros(3)) + b"x", MalformedError, "declares 24 bytes of data and holds 25"),
        (_npy(np.zeros(3)).replace(b"(3,)", b"(9**9,)"), MalformedError, "is no .npy array"),
        (
            _npy(np.zeros(30)).replace(b"(30,)", b"(-1,)"),
            MalformedError,
            "declares the shape|no .npy array|bytes of data",
        ),
        (_npy(np.array(["text"])), MalformedError, "not plain numbers"),
        (b"\x93NUMPY\x01\x00", MalformedError, "is no .npy array"),
        (_npz(a=np.zeros(3))[:-5], MalformedError, "zip archive"),
        (_npz(a=np.array([{}], object)), UnsafeError, "x:a holds Python objects"),
        (b"\x89PNG\r\n\x1a\nbroken", MalformedError, "no readable PNG or JPEG"),
        (b"\xff\xd8\xffbroken", MalformedError, "no readable PNG or JPEG"),
    ],
)
def test_what_is_damaged_or_pickled_is_refused(raw: bytes, error: type[RefusedError], why: str) -> None:
    with pytest.raises(error, match=why) as caught:
        named_inputs(raw, SIGNATURE, "x")
    assert caught.value.exit_status == 3


_GREY = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10


def _pixels(raw: bytes) -> list[list[int]]:
    array = named_inputs(raw, SIGNATURE, "x.png")["image"]
    assert (array.shape, array.dtype) == ((1, 1, 4, 6), np.uint8)
    return array[0, 0].tolist()


def test_a_grey_picture_arrives_as_it_is() -> None:
    assert _pixels(_picture(Image.fromarray(_GREY))) == _GREY.tolist()
    assert _pixels(_picture(Image.fromarray(_GREY).convert("RGB"))) == _GREY.tolist()
    assert _pixels(_picture(Image.fromarray(_GREY).convert("P"))) == _GREY.tolist()
    jpeg = np.array(_pixels(_picture(Image.fromarray(np.full((4, 6), 90, np.uint8)), "JPEG", quality=100)))
    assert np.abs(jpeg - 90).max() <= 2


def test_sixteen_bits_are_scaled_and_one_bit_is_black_and_white() -> None:
    assert _pixels(_picture(Image.fromarray(_GREY.astype(np.uint16) * 257))) == _GREY.tolist()
    black_white = Image.fromarray(_GREY > 100)
    assert _pixels(_picture(black_white)) == (255 * (_GREY > 100)).tolist()


def test_what_is_transparent_lies_on_black() -> None:
    layer = np.dstack([_GREY, _GREY, _GREY, np.where(_GREY > 100, 255, 0).astype(np.uint8)])
    assert _pixels(_picture(Image.fromarray(layer))) == np.where(_GREY > 100, _GREY, 0).tolist()
    grey_alpha = np.dstack([_GREY, np.full_like(_GREY, 128)])
    half = np.array(_pixels(_picture(Image.fromarray(grey_alpha, "LA"))))
    assert np.abs(half - _GREY * (128 / 255)).max() <= 1


def test_a_picture_is_turned_as_its_exif_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    lying = np.rot90(_GREY)
    assert _pixels(_picture(Image.fromarray(np.ascontiguousarray(lying)), exif=exif)) == _GREY.tolist()


def test_colours_for_three_channels() -> None:
    signature = Signature((TensorSpec("image", "uint8", ("batch", 3, "h", "w")),), (), (), (), Constant(None))
    colours = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    array = named_inputs(_picture(Image.fromarray(colours)), signature, "x")["image"]
    assert array.shape == (1, 3, 5, 7)
    assert array[0].transpose(1, 2, 0).tolist() == colours.tolist()
    assert array.flags.c_contiguous


def test_a_wrong_size_names_both() -> None:
    with pytest.raises(InputError) as caught:
        named_inputs(_picture(Image.new("L", (28, 30))), SIGNATURE, "dog.png")
    assert caught.value.what == "dog.png is 28x30 pixels, the model takes 6x4"
    assert caught.value.hint == "scale it to 6x4 first"


def test_a_bomb_is_refused_by_its_size_before_it_is_decoded() -> None:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1_000_000, 1_000_000, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(RefusedError, match=r"1000000x1000000 pixels|no readable PNG"):
        named_inputs(bomb, SIGNATURE, "bomb.png")


def test_a_picture_for_a_model_that_takes_none_is_told() -> None:
    signature = Signature((TensorSpec("x", "float32", (2,)),), (), (), (), Constant(None))
    with pytest.raises(InputError, match=r"\[batch, 1 or 3, height, width\]; the model takes x: float32 \[2\]"):
        named_inputs(_picture(Image.new("L", (6, 4))), signature, "x.png")


def test_inputs_of_a_model_that_says_nothing_keep_their_types() -> None:
    assert free_inputs(_npy(np.zeros((1, 2), np.float16)), ["x"], "f")["x"].dtype == np.float16
    assert free_inputs(b"[[1, 2]]", ["x"], "f")["x"].dtype == np.int64
    assert free_inputs(b"[[1.5, 2]]", ["x"], "f")["x"].dtype == np.float32
    assert free_inputs(_picture(Image.new("L", (6, 4))), ["x"], "f")["x"].shape == (1, 1, 4, 6)
    assert free_inputs(_picture(Image.new("RGB", (6, 4))), ["x"], "f")["x"].shape == (1, 3, 4, 6)
    with pytest.raises(InputError, match="f holds y, the model takes x"):
        free_inputs(b'{"y": [1]}', ["x"], "f")
    with pytest.raises(InputError, match="different lengths"):
        free_inputs(b"[[1], [2, 3]]", ["x"], "f")
    with pytest.raises(InputError, match="something else than numbers"):
        free_inputs(b'["a"]', ["x"], "f")
