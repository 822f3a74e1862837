"""Compression of large payloads, which saves memory in Redis and network traffic."""

from __future__ import annotations

from langcache_cli.caching._errors import OversizedEntryError, UncacheableValueError, UndecodableEntryError
from langcache_cli.caching._values.compressed_streams import (
    PREFERRED,
    compressor,
    declared_size,
    decompressor,
)
from langcache_cli.caching._values.large.portions import LARGE_BYTES, Steps, at_once, in_portions

UNCOMPRESSED = ""

MAX_RATIO = 0.9
"""Keep a payload uncompressed unless compression reduces it below this fraction of its size."""

MAX_DECOMPRESSED_BYTES = 32 * 1024 * 1024
"""Default upper bound for one decompressed payload; guards against decompression bombs.
Larger values are stored uncompressed."""

_BYTES_EACH = 16
"""Values may have one list or object for so many bytes of the upper bound: two million by default."""

_STEP_BYTES = 256 * 1024
"""So much is compressed in one step, or looked at: it takes a millisecond at most."""


def compress(payload: bytes, *, min_bytes: int, max_bytes: int = MAX_DECOMPRESSED_BYTES) -> tuple[bytes, str]:
    """The payload to store and its compression: `PREFERRED` or `UNCOMPRESSED`.

    Args:
        payload: A value as JSON.
        min_bytes: Do not compress shorter payloads; 0 disables compression.
        max_bytes: Nor those of this length, which readers would not decompress.
    """
    return at_once(compressing(payload, min_bytes=min_bytes, max_bytes=max_bytes))


def compressing(payload: bytes, *, min_bytes: int, max_bytes: int) -> Steps[tuple[bytes, str]]:
    """`compress` in steps.

    Raises:
        UncacheableValueError: Readers would refuse it: see `_is_too_dense`.
    """
    if (yield from _is_too_dense(payload, max_bytes)):
        raise UncacheableValueError("it consists of too many lists and objects")
    if not min_bytes or not min_bytes <= len(payload) < max_bytes:
        return payload, UNCOMPRESSED
    stream = compressor(PREFERRED, len(payload))
    pieces, view = [], memoryview(payload)
    for start in range(0, len(payload), _STEP_BYTES):
        pieces.append(stream.compress(view[start : start + _STEP_BYTES]))
        if start:
            yield
    compressed = b"".join([*pieces, stream.flush()])
    if len(compressed) < MAX_RATIO * len(payload):
        return compressed, PREFERRED
    return payload, UNCOMPRESSED


def decompress(payload: bytes, compression: str, *, max_bytes: int = MAX_DECOMPRESSED_BYTES) -> bytes:
    """The value as JSON.

    Raises:
        OversizedEntryError: It would take more than ``max_bytes``.
        UndecodableEntryError: The payload is damaged, or the compression is unknown, as when a later version
            wrote it.
    """
    return at_once(decompressing(payload, compression, max_bytes=max_bytes))


def decompress_short(payload: bytes, compression: str) -> bytes | None:
    """The value as JSON, raising like `decompress`; None if that is longer than `LARGE_BYTES`."""
    if (declared_size(payload, compression) or 0) > LARGE_BYTES:
        return None
    stream = decompressor(payload, compression)
    json = stream.read(LARGE_BYTES + 1)
    if len(json) > LARGE_BYTES:
        return None
    if not stream.is_complete:
        raise UndecodableEntryError("truncated, or followed by other data")
    return json


async def decompress_in_portions(payload: bytes, compression: str, *, max_bytes: int) -> bytes:
    """`decompress`, while the event loop runs if the value is large; raises like it."""
    if not compression:
        return payload
    short = decompress_short(payload, compression)
    return short if short is not None else await in_portions(_decompressing(payload, compression, max_bytes))


def first_bytes(payload: bytes, compression: str, n_bytes: int) -> bytes:
    """The first bytes of the value as JSON, for people to look at; ``payload`` may be cut.

    Raises:
        UndecodableEntryError: As for `decompress`.
    """
    return decompressor(payload, compression).read(n_bytes) if compression else payload[:n_bytes]


def decompressing(payload: bytes, compression: str, *, max_bytes: int) -> Steps[bytes]:
    """`decompress` in steps."""
    json = (yield from _decompressing(payload, compression, max_bytes)) if compression else payload
    if (yield from _is_too_dense(json, max_bytes)):
        raise OversizedEntryError("it consists of too many lists and objects")
    return json


def _is_too_dense(json: bytes, max_bytes: int) -> Steps[bool]:
    """True if JSON becomes so many objects that they take several times the memory of ``max_bytes``."""
    left = max_bytes // _BYTES_EACH
    if len(json) <= 2 * left:
        return False
    for start in range(0, len(json), _STEP_BYTES):
        yield
        end = start + _STEP_BYTES
        left -= json.count(b"{", start, end) + json.count(b"[", start, end)
    return left < 0


def _decompressing(payload: bytes, compression: str, max_bytes: int) -> Steps[bytes]:
    if (declared_size(payload, compression) or 0) > max_bytes:
        raise OversizedEntryError(f"it takes more than {max_bytes} bytes")
    stream = decompressor(payload, compression)
    pieces, left = [], max_bytes
    while not stream.ended and left > 0:
        pieces.append(stream.read(min(stream.step_bytes, left)))
        left -= len(pieces[-1])
        if not pieces[-1]:
            break
        yield
    if not stream.ended and left <= 0:
        raise OversizedEntryError(f"it takes more than {max_bytes} bytes")
    if not stream.is_complete:
        raise UndecodableEntryError("truncated, or followed by other data")
    return b"".join(pieces)
