"""What an entry notes beside a body: its entity tag, and the headers that the function has set."""

from __future__ import annotations

import base64
import json
from functools import lru_cache
from typing import NamedTuple

Headers = tuple[tuple[str, str], ...]
"""Names in lower case, and values."""

JSON_ONLY: Headers = (("content-type", "application/json"),)
MAX_CHARACTERS = 2048
"""Of a note: a header of an entry may have 4,096 bytes, of which tags need some."""


class Note(NamedTuple):
    """What is sent with a stored body.

    Attributes:
        tag: Its entity tag, as it is sent.
        headers: All that is stored with it, as it is sent; with ``etag`` and without ``content-length``.
        has_cache_control: True if the function has set ``Cache-Control`` itself.
    """

    tag: str
    headers: tuple[tuple[bytes, bytes], ...]
    has_cache_control: bool


def note_text(digest: str, headers: Headers) -> str:
    """The note of a body in visible ASCII: ``digest`` or ``digest.headers``.

    Args:
        digest: `validators.digest_of` the body.
        headers: What is sent with it.
    """
    if headers == JSON_ONLY:
        return digest
    packed = json.dumps(headers, separators=(",", ":")).encode("ascii")
    return f"{digest}.{base64.urlsafe_b64encode(packed).decode('ascii')}"


@lru_cache(maxsize=1024)
def parse_note(text: str) -> Note:
    """The note of an entry. The same notes come again at each hit.

    Raises:
        ValueError: It is not one.
    """
    digest, dot, packed = text.partition(".")
    pairs = json.loads(base64.urlsafe_b64decode(packed)) if dot else JSON_ONLY
    try:
        headers = [(str(name), str(value)) for name, value in pairs]
    except TypeError as error:
        raise ValueError(str(error)) from None
    names = dict(headers)
    tag = names.get("etag", f'W/"{digest}"')
    if "etag" not in names:
        headers.append(("etag", tag))
    encoded = tuple([(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers])
    return Note(tag, encoded, "cache-control" in names)
