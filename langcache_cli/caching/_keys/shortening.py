"""Upper bound for the length of keys: a long key becomes a readable head and a digest of the whole key."""

from __future__ import annotations

from hashlib import blake2b

MAX_KEY_BYTES = 200
DIGEST_BYTES = 16
DIGEST_MARK = "%#"
"""Precedes a digest. Other texts cannot contain it: their '%' is always followed by two hex digits."""


def shorten(key: str) -> str:
    """Limit a key to `MAX_KEY_BYTES` of UTF-8; a longer one ends with a 128-bit digest of the whole key."""
    encoded = key.encode("utf-8")
    if len(encoded) <= MAX_KEY_BYTES:
        return key
    end = DIGEST_MARK + digest(encoded)
    return encoded[: MAX_KEY_BYTES - len(end)].decode("utf-8", "ignore") + end


def digest(data: bytes) -> str:
    """The 128-bit BLAKE2b digest of ``data`` as 32 hex digits."""
    return blake2b(data, digest_size=DIGEST_BYTES).hexdigest()
