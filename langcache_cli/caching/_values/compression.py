"""Large values are stored compressed: less memory in Redis, and less to send."""

from __future__ import annotations

import zlib

from langcache_cli.caching._errors import UndecodableEntryError

ZLIB = "zlib"
AS_IT_IS = ""

LEVEL = 1
"""The quickest: twice the time of it saves another tenth."""

WORTH_IT = 0.9
"""What does not become smaller than this part of itself stays as it is."""

MAX_BYTES = 512 * 1024 * 1024
"""What Redis can hold uncompressed: nobody shall fill our memory from there."""


def packed(payload: bytes, *, from_bytes: int) -> tuple[bytes, str]:
    """The bytes to store, and how they are packed.

    Args:
        payload: A value as JSON.
        from_bytes: Leave shorter ones alone; 0 leaves all alone.
    """
    if not from_bytes or len(payload) < from_bytes:
        return payload, AS_IT_IS
    smaller = zlib.compress(payload, LEVEL)
    return (smaller, ZLIB) if len(smaller) < WORTH_IT * len(payload) else (payload, AS_IT_IS)


def unpacked(payload: bytes, packing: str) -> bytes:
    """The value as JSON.

    Raises:
        UndecodableEntryError: It is damaged, too large, or packed by a later version.
    """
    if packing == AS_IT_IS:
        return payload
    if packing != ZLIB:
        raise UndecodableEntryError(f"packed as {packing!r}, which this version does not know")
    unpacking = zlib.decompressobj()
    try:
        json = unpacking.decompress(payload, MAX_BYTES)
    except zlib.error as error:
        raise UndecodableEntryError(str(error)) from None
    if not unpacking.eof or unpacking.unused_data:
        raise UndecodableEntryError("cut off, too large, or followed by something else")
    return json
