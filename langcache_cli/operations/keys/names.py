"""Keys as text that can be typed: as they are if a terminal can show them, percent-encoded otherwise."""

from __future__ import annotations

import os
from urllib.parse import quote

from langcache_cli.caching import PatternError
from langcache_cli.operations.overview.key_text import key_at, readable


def typeable(key: bytes) -> str:
    """A key as `keys_meant` takes it; no terminal obeys it, and it stays on one line."""
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return _encoded(key)
    return text if text.isprintable() else _encoded(key)


def _encoded(key: bytes) -> str:
    """All but ASCII letters that are harmless, percent-encoded; ``%`` itself, too."""
    return quote(key, safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}")


def keys_meant(text: str, namespace: str) -> list[bytes]:
    """The keys that an argument may mean, the likeliest first: as it stands, and percent-decoded.

    Keys of langcache contain ``%`` themselves, so an argument that begins like a key is a key first.

    Raises:
        PatternError: None of them is in the namespace.
    """
    start = f"{namespace}:".encode()
    as_it_stands = os.fsencode(text)  # an argument that is no UTF-8 came with lone surrogates
    meant = [
        key for key in dict.fromkeys((as_it_stands, key_at(_bytes_quoted(text)))) if key.startswith(start)
    ]
    if not meant:
        raise PatternError(
            f"{readable(as_it_stands)!r} is outside the namespace {namespace!r}: "
            f"it does not begin with '{namespace}:'"
        )
    return meant


def _bytes_quoted(text: str) -> str:
    """The text with what is not ASCII percent-encoded, so that decoding it gives the bytes back."""
    return quote(os.fsencode(text), safe=bytes(range(128)))
