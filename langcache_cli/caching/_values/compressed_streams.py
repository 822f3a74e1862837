"""Compressed payloads, read and written piece by piece: Zstandard, and zlib for entries of earlier versions.

A payload of Zstandard is one frame (RFC 8878) that holds its content size and a checksum. Its window is not
longer than HTTP allows (RFC 9659): a response may consist of the frame as it is stored.
"""

from __future__ import annotations

import sys
import zlib
from typing import Protocol

from langcache_cli.caching._errors import UndecodableEntryError

try:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
except ImportError:  # a Python 3.14 that was built without libzstd
    zstd = None  # type: ignore[assignment]

ZLIB = "zlib"
ZSTD = "zstd"
PREFERRED = ZLIB if zstd is None else ZSTD
"""The compression of new entries."""

ZLIB_LEVEL = 1
"""The fastest level: slower ones take twice the time and save another tenth."""

ZSTD_LEVEL = 3
"""A fifth fewer bytes than zlib, written in a third and read in a quarter of its time. Level 1 is a tenth
faster to write and slower to read; levels above 4 take two to four times as long to write for few bytes."""

MAX_WINDOW_LOG = 23
"""Frames that need a longer window, which is memory of the reader, are refused: 8 MB."""

_BOUNDED: dict[int, int] | None = None
if zstd is not None:
    _BOUNDED = {zstd.DecompressionParameter.window_log_max: MAX_WINDOW_LOG}

BLOCK_BYTES = 128 * 1024 + 32
"""The head of a frame and one block take at most so many bytes. Less may decompress to nothing."""


class Compressor(Protocol):
    """What `zlib.compressobj` returns, and `zstd.ZstdCompressor`."""

    def compress(self, data: memoryview, /) -> bytes:
        """What is ready of the compressed data."""

    def flush(self) -> bytes:
        """The rest."""


class _Stream(Protocol):
    """What `zlib.decompressobj` returns, and `zstd.ZstdDecompressor`."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Decompressor:
    """Reads one payload.

    Attributes:
        step_bytes: So much is read in one step of a millisecond or two.
    """

    def __init__(self, payload: bytes, stream: _Stream, error: type[Exception], *, step_bytes: int) -> None:
        """Prepare.

        Args:
            payload: What to read.
            stream: Of its compression.
            error: What that raises for damaged data.
            step_bytes: See there.
        """
        self.step_bytes = step_bytes
        self._stream = stream
        self._error = error
        self._rest = payload

    def read(self, n_bytes: int) -> bytes:
        """At most so many bytes more, at least one; nothing once the payload ends.

        Raises:
            UndecodableEntryError: The payload is damaged.
        """
        try:
            piece = self._stream.decompress(self._rest, n_bytes)
        except self._error as error:
            raise UndecodableEntryError(str(error)) from None
        self._rest = getattr(self._stream, "unconsumed_tail", b"")  # that of Zstandard is kept by the stream
        return piece

    @property
    def ended(self) -> bool:
        """True once the payload has been read to its end, whatever follows it."""
        return self._stream.eof

    @property
    def is_complete(self) -> bool:
        """True once the payload has been read to its end, and nothing follows it."""
        return self._stream.eof and not self._stream.unused_data


def compressor(compression: str, size: int) -> Compressor:
    """For a value that is so long as JSON."""
    if compression == ZLIB:
        return zlib.compressobj(ZLIB_LEVEL)
    parameter = zstd.CompressionParameter
    options: dict[int, int] = {parameter.compression_level: ZSTD_LEVEL, parameter.checksum_flag: 1}
    made = zstd.ZstdCompressor(options=options)
    made.set_pledged_input_size(size)
    return made


def decompressor(payload: bytes, compression: str) -> Decompressor:
    """For one payload.

    Raises:
        UndecodableEntryError: The compression is unknown, or this Python was built without it.
    """
    if compression == ZSTD and zstd is not None:
        stream = zstd.ZstdDecompressor(options=_BOUNDED)
        return Decompressor(payload, stream, zstd.ZstdError, step_bytes=1024 * 1024)  # each step is a copy
    if compression == ZLIB:
        return Decompressor(payload, zlib.decompressobj(), zlib.error, step_bytes=256 * 1024)
    raise UndecodableEntryError(f"compressed with {compression!r}, which this version does not support")


def declared_size(payload: bytes, compression: str) -> int | None:
    """How long a payload says that its JSON is; None if it does not say so. That may be wrong."""
    if compression != ZSTD or zstd is None:
        return None
    try:
        return zstd.get_frame_info(payload).decompressed_size
    except zstd.ZstdError:
        return None  # damaged: the decompressor says how
