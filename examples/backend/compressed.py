"""A text that is stored small when it is large: the return annotation decides how a value is stored."""

import base64
import zlib
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

LARGE_BYTES = 2048
MARK = "deflate:"


def _pack(text: str) -> str:
    data = text.encode()
    if len(data) < LARGE_BYTES and not text.startswith(MARK):
        return text
    return MARK + base64.b85encode(zlib.compress(data)).decode("ascii")


def _unpack(stored: object) -> object:
    if isinstance(stored, str) and stored.startswith(MARK):
        return zlib.decompress(base64.b85decode(stored.removeprefix(MARK))).decode()
    return stored


CompressedText = Annotated[str, BeforeValidator(_unpack), PlainSerializer(_pack, return_type=str)]
"""A `str`, for all who get it."""
