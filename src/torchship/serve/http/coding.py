"""Bodies that come compressed."""

from __future__ import annotations

import zlib

from torchship.serve.refusal import Refusal

_WINDOWS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}


def decoded(body: bytes | bytearray | memoryview, coding: bytes, limit: int) -> bytes | bytearray | memoryview:
    """Undo ``Content-Encoding``, up to ``limit`` bytes, so that a small body can't unpack to a huge one.

    Raises:
        Refusal: 415 an encoding that isn't offered, 413 beyond the limit, 400 not what it claims to be.
    """
    name = coding.strip().lower()
    if name in (b"", b"identity"):
        return body
    if name not in _WINDOWS:
        told = coding.decode("latin-1")
        raise Refusal(415, f"the content encoding {told!r} isn't offered; send gzip, deflate or the body as it is")
    inflate = zlib.decompressobj(_WINDOWS[name])
    try:
        plain = inflate.decompress(body, limit + 1)
    except zlib.error as error:
        raise Refusal(400, f"the body isn't {name.decode()}: {error}") from error
    if len(plain) > limit:
        raise Refusal(413, f"the body is larger than {limit} bytes when it is unpacked")
    if not inflate.eof or inflate.unused_data:
        raise Refusal(400, f"the {name.decode()} body is cut short or has something behind it")
    return plain
