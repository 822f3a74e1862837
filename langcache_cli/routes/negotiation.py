"""Which content coding a client accepts (RFC 9110, section 12.5.3)."""

from __future__ import annotations

import re
from functools import lru_cache

CODINGS = {"zlib": "deflate", "zstd": "zstd"}
"""The content coding of each compression of entries: what HTTP calls deflate is the format of zlib."""

MAX_KEPT = 256
"""Longer headers are parsed each time: browsers send short ones, and few of them."""

_ITEM = re.compile(
    r"\s*(?P<coding>[!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:;\s*[qQ]=(?P<quality>[01](?:\.[0-9]{0,3})?)\s*)?"
)


def accepts(accept_encoding: str, coding: str) -> bool:
    """True if a client takes a content coding.

    Args:
        accept_encoding: The value of ``Accept-Encoding``; what is malformed in it is skipped.
        coding: In lower case.
    """
    return (_accepts if len(accept_encoding) <= MAX_KEPT else _accepts.__wrapped__)(accept_encoding, coding)


@lru_cache(maxsize=256)
def _accepts(accept_encoding: str, coding: str) -> bool:
    qualities: dict[str, float] = {}
    for item in accept_encoding.split(","):
        match = _ITEM.fullmatch(item)
        if match is not None:
            qualities[match["coding"].lower()] = float(match["quality"] or 1)
    return qualities.get(coding, qualities.get("*", 0.0)) > 0
