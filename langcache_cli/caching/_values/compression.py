"""Compression of large payloads, which saves memory in Redis and network traffic."""

from __future__ import annotations

import zlib

from langcache_cli.caching._errors import UndecodableEntryError

ZLIB = "zlib"
UNCOMPRESSED = ""

ZLIB_LEVEL = 1
"""The fastest level: slower ones take twice the time and save another tenth."""

MAX_RATIO = 0.9
"""Keep a payload uncompressed unless compression reduces it below this fraction of its size."""

MAX_DECOMPRESSED_BYTES = 32 * 1024 * 1024
"""Upper bound for one decompressed payload; guards against decompression bombs.
Larger values are stored uncompressed."""


def compress(payload: bytes, *, min_bytes: int) -> tuple[bytes, str]:
    """The payload to store and its compression: `ZLIB` or `UNCOMPRESSED`.

    Args:
        payload: A value as JSON.
        min_bytes: Do not compress shorter payloads; 0 disables compression.
    """
    if not min_bytes or not min_bytes <= len(payload) < MAX_DECOMPRESSED_BYTES:
        return payload, UNCOMPRESSED
    compressed = zlib.compress(payload, ZLIB_LEVEL)
    if len(compressed) < MAX_RATIO * len(payload):
        return compressed, ZLIB
    return payload, UNCOMPRESSED


def decompress(payload: bytes, compression: str) -> bytes:
    """The value as JSON.

    Raises:
        UndecodableEntryError: The payload is damaged or too large, or the compression is unknown, as when a
            later version wrote it.
    """
    if compression == UNCOMPRESSED:
        return payload
    if compression != ZLIB:
        raise UndecodableEntryError(f"compressed with {compression!r}, which this version does not support")
    decompressor = zlib.decompressobj()
    try:
        json = decompressor.decompress(payload, MAX_DECOMPRESSED_BYTES)
    except zlib.error as error:
        raise UndecodableEntryError(str(error)) from None
    if not decompressor.eof or decompressor.unused_data:
        raise UndecodableEntryError("truncated, too large, or followed by other data")
    return json
