"""JSON in one form only, sealed with its own SHA-256: the same facts give the same bytes, and a changed byte shows.

The form: UTF-8, keys sorted, two blanks of indentation, one newline at the end, and a key ``digest`` that holds the
SHA-256 of the same form without that key. It says that the file is whole, not who wrote it: that is a signature's
business.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import msgspec

from torchship.errors import MalformedError, TamperedError, TorchshipError

SEAL = "digest"
MAX_BYTES = 64 << 20


def digest(document: dict[str, Any]) -> str:
    """SHA-256 of ``document`` in its one form, as ``sha256:HEX``."""
    return "sha256:" + hashlib.sha256(encode(document)).hexdigest()


def encode(document: Any) -> bytes:
    """Give the one form of ``document``."""
    return msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=2) + b"\n"


def seal(value: Any) -> bytes:
    """Give the sealed form of a struct or a dict; raises TorchshipError where a number in it is infinite or NaN."""
    document: dict[str, Any] = msgspec.to_builtins(value)
    _check_finite(document, "")
    return encode({**document, SEAL: digest(document)})


def _check_finite(value: Any, at: str) -> None:
    """JSON has no infinity and no NaN, and null in their place would be another fact."""
    if isinstance(value, float) and not math.isfinite(value):
        raise TorchshipError(f"{at} is no finite number ({value}), a manifest can't hold it", where=at)
    if isinstance(value, (dict, list, tuple)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _check_finite(item, f"{at}.{key}" if at else str(key))


def parse(raw: bytes, name: str) -> dict[str, Any]:
    """Parse any JSON object, within limits.

    Raises:
        MalformedError: too big, too deep, not JSON (NaN isn't), or not an object.
    """
    if len(raw) > MAX_BYTES:
        raise MalformedError(f"{name} is bigger than {MAX_BYTES >> 20} MiB", where=name)
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError(f"{name} is not valid JSON: {error}", where=name) from error
    if not isinstance(document, dict):
        raise MalformedError(f"{name} is not a JSON object", where=name)
    return document


def unseal(raw: bytes, document: dict[str, Any], name: str) -> dict[str, Any]:
    """Check that ``raw``, which was parsed to ``document``, is in the one form and that its seal fits; take it off.

    Raises:
        TamperedError: a byte of it was changed, a key stands twice, or the seal is missing.
    """
    rest = {key: value for key, value in document.items() if key != SEAL}
    if document.get(SEAL) != digest(rest) or encode(document) != raw:
        raise TamperedError(
            f"{name} was changed after it was written (its digest doesn't fit)",
            where=name,
            hint="get the bundle anew from where it was made, or ship the model again",
        )
    return rest
