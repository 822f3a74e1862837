"""Compression of large payloads; damaged ones are undecodable."""

import contextlib
import importlib.util
import json
import random
import sys
import zlib
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from langcache_cli.caching._errors import OversizedEntryError, UncacheableValueError, UndecodableEntryError
from langcache_cli.caching._values import compressed_streams
from langcache_cli.caching._values.compressed_streams import (
    BLOCK_BYTES,
    MAX_WINDOW_LOG,
    PREFERRED,
    ZLIB,
    ZSTD,
    declared_size,
    zstd,
)
from langcache_cli.caching._values.compression import (
    UNCOMPRESSED,
    compress,
    compressing,
    decompress,
    decompress_short,
    decompressing,
    first_bytes,
)
from langcache_cli.caching._values.large.portions import LARGE_BYTES

MAGIC = bytes.fromhex("28b52ffd")
COMPRESS = {ZLIB: zlib.compress, ZSTD: zstd.compress}
BOTH = pytest.mark.parametrize("method", [ZLIB, ZSTD])

payloads = (
    st.binary(max_size=300)
    | st.binary(min_size=1, max_size=3).map(lambda piece: piece * 1000)
    | st.integers(0, 2 * LARGE_BYTES).map(lambda size: (b"Haus und Hof " * (size // 13 + 1))[:size])
)


def lines(size: int) -> bytes:
    """So many bytes of JSON, about."""
    chance = random.Random(size)
    return json.dumps(
        [{"id": n, "text": f"Wort {chance.getrandbits(60)}"} for n in range(size // 42)]
    ).encode()


FRAME = compress(lines(3000), min_bytes=1)[0]


@given(payloads, st.integers(0, 1000))
def test_a_compressed_payload_decompresses_to_the_original(payload, min_bytes):
    stored, method = compress(payload, min_bytes=min_bytes)
    assert decompress(stored, method) == payload
    if method != UNCOMPRESSED:
        assert decompress_short(stored, method) == (payload if len(payload) <= LARGE_BYTES else None)
    assert len(stored) <= len(payload)


@pytest.mark.parametrize("size", [10_000, LARGE_BYTES, 256 * 1024, 256 * 1024 + 1, 1024 * 1024, 3_000_000])
def test_so_does_one_of_any_size(size):
    payload = (lines(200_000) * (size // 100_000 + 1))[:size]
    stored, method = compress(payload, min_bytes=1)
    assert method == PREFERRED == ZSTD
    assert decompress(stored, method) == payload
    assert zstd.decompress(stored) == payload
    assert len(stored) < len(zlib.compress(payload, 1))


@pytest.mark.parametrize("size", [1000, 100_000, 3_000_000])
def test_a_frame_is_one_that_http_allows(size):
    payload = b"Haus und Hof " * (size // 13)
    frame, _ = compress(payload, min_bytes=1)
    descriptor, window = frame[4], frame[5]
    assert frame.startswith(MAGIC)
    assert descriptor & 0b100, "it has a checksum"
    assert declared_size(frame, ZSTD) == len(payload)
    has_one_segment = descriptor & 0b100000
    assert has_one_segment or 10 + (window >> 3) < MAX_WINDOW_LOG
    assert zstd.ZstdDecompressor().decompress(frame) == payload, "no second frame"


def test_only_large_and_compressible_payloads_are_compressed():
    assert compress(b"a" * 100, min_bytes=101) == (b"a" * 100, UNCOMPRESSED)
    assert compress(b"a" * 101, min_bytes=101)[1] == ZSTD
    assert compress(b"a" * 10_000, min_bytes=0) == (b"a" * 10_000, UNCOMPRESSED)
    noise = zlib.compress(bytes(range(256)) * 9)
    assert compress(noise, min_bytes=1) == (noise, UNCOMPRESSED)


@given(st.binary(max_size=100), st.sampled_from([b"", MAGIC, FRAME[:6], FRAME[:-5]]))
@example(MAGIC, b"")
def test_foreign_bytes_are_undecodable(data, head):
    for method, decode in ((ZLIB, zlib.decompress), (ZSTD, zstd.decompress)):
        outcomes = set()
        for take in (decompress, decompress_short):
            try:
                outcomes.add(take(head + data, method))
            except UndecodableEntryError:
                outcomes.add(None)
        assert len(outcomes) == 1
        if outcomes != {None}:
            assert decode(head + data) in outcomes


@BOTH
@given(st.data())
def test_a_truncated_or_extended_payload_is_undecodable(method, data):
    stored = COMPRESS[method](lines(2000))
    for damaged in (
        stored[: data.draw(st.integers(0, len(stored) - 1))],
        stored + data.draw(st.binary(min_size=1)),
        stored + stored,
    ):
        for take in (decompress, decompress_short):
            with pytest.raises(UndecodableEntryError):
                take(damaged, method)


@given(st.integers(0, len(FRAME) - 1), st.integers(1, 255))
def test_a_changed_byte_is_found_or_changes_nothing(place, change):
    damaged = bytes([*FRAME[:place], FRAME[place] ^ change, *FRAME[place + 1 :]])
    with contextlib.suppress(UndecodableEntryError):
        assert decompress(damaged, ZSTD, max_bytes=LARGE_BYTES) == lines(3000)


def test_an_unknown_compression_is_undecodable():
    for take in (decompress, decompress_short):
        with pytest.raises(UndecodableEntryError, match="lz9"):
            take(b"x", "lz9")


@BOTH
def test_a_decompression_bomb_is_not_decompressed(method):
    bomb = COMPRESS[method]
    with pytest.raises(OversizedEntryError):
        decompress(bomb(b"0" * 10_001), method, max_bytes=10_000)
    assert decompress(bomb(b"0" * 9_999), method, max_bytes=10_000) == b"0" * 9_999


@BOTH
def test_no_payload_becomes_larger_than_what_a_process_can_bear(method):
    bomb = COMPRESS[method](b"0" * (33 * 1024 * 1024))
    assert len(bomb) < 100_000
    with pytest.raises(OversizedEntryError):
        decompress(bomb, method)
    assert decompress_short(bomb, method) is None


def test_a_frame_that_does_not_say_its_size_is_bounded_too():
    compressor = zstd.ZstdCompressor()
    frame = compressor.compress(b"0" * 500_000) + compressor.compress(b"0" * 500_000) + compressor.flush()
    assert declared_size(frame, ZSTD) is None
    assert decompress(frame, ZSTD) == b"0" * 1_000_000
    assert decompress_short(frame, ZSTD) is None
    with pytest.raises(OversizedEntryError):
        decompress(frame, ZSTD, max_bytes=999_999)


def test_nor_does_what_a_frame_says_of_itself_take_memory():
    exabyte = MAGIC + bytes([0b11000000, 0]) + (2**60).to_bytes(8, "little")
    with pytest.raises(OversizedEntryError):
        decompress(exabyte, ZSTD)
    window_of_two_gigabytes = MAGIC + bytes([0, 21 << 3]) + b"\x01\x00\x00"
    for take in (decompress, decompress_short):
        with pytest.raises(UndecodableEntryError, match="memory"):
            take(window_of_two_gigabytes, ZSTD)
    understated = bytearray(zstd.compress(b"0" * 1000))
    assert declared_size(bytes(understated), ZSTD) == 1000
    understated[5:7] = (300).to_bytes(2, "little")
    with pytest.raises(UndecodableEntryError):
        decompress_short(bytes(understated), ZSTD)


def test_a_larger_value_is_stored_uncompressed():
    for size in (9_999, 10_000, 10_001):
        stored, method = compress(b"0" * size, min_bytes=1, max_bytes=10_000)
        assert decompress(stored, method, max_bytes=10_000) == b"0" * size
    assert method == UNCOMPRESSED


@BOTH
def test_both_ways_go_in_steps(method):
    payload = b"Haus und Hof " * 200_000
    steps = list(compressing(payload, min_bytes=1, max_bytes=10**8))
    stored, _ = compress(payload, min_bytes=1)
    assert len(steps) >= 9
    assert len(list(decompressing(stored, ZSTD, max_bytes=10**8))) >= 3
    assert len(list(decompressing(zlib.compress(payload), ZLIB, max_bytes=10**8))) >= 9


@BOTH
@pytest.mark.parametrize("size", [0, 1, LARGE_BYTES - 1, LARGE_BYTES])
def test_short_payloads_are_decompressed_at_once(size, method):
    assert decompress_short(COMPRESS[method](b"0" * size), method) == b"0" * size


@BOTH
def test_long_payloads_are_not(method):
    assert decompress_short(COMPRESS[method](b"0" * (LARGE_BYTES + 1)), method) is None
    assert decompress_short(COMPRESS[method](b"0" * 10**7), method) is None


@BOTH
def test_json_of_too_many_objects_is_neither_written_nor_read(method):
    limit = 10**6
    few, many = (b"[" + b"{}," * n + b"{}]" for n in (limit // 16 - 3, limit // 16))
    for min_bytes in (0, 1):
        stored, compression = compress(few, min_bytes=min_bytes, max_bytes=limit)
        assert decompress(stored, compression, max_bytes=limit) == few
        with pytest.raises(UncacheableValueError, match="too many"):
            compress(many, min_bytes=min_bytes, max_bytes=limit)
    for stored, compression in ((many, UNCOMPRESSED), (COMPRESS[method](many), method)):
        with pytest.raises(OversizedEntryError, match="too many"):
            decompress(stored, compression, max_bytes=limit)


@BOTH
def test_the_first_bytes_of_a_cut_payload_can_be_shown(method):
    payload = b'["%b"]' % random.Random(1).randbytes(300_000).hex().encode()
    stored = COMPRESS[method](payload)
    assert len(stored) > BLOCK_BYTES
    assert first_bytes(stored[:BLOCK_BYTES], method, 5001) == payload[:5001]
    assert first_bytes(payload, UNCOMPRESSED, 5001) == payload[:5001]


def imported_anew():
    spec = importlib.util.spec_from_file_location("compressed_streams_anew", compressed_streams.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_later_python_takes_zstandard_from_its_library(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    monkeypatch.setitem(sys.modules, "compression", SimpleNamespace(zstd=zstd))
    monkeypatch.setitem(sys.modules, "backports", None)
    assert imported_anew().decompressor(FRAME, ZSTD).read(10_000) == lines(3000)


def test_a_python_without_zstandard_writes_zlib_and_takes_frames_for_undecodable(monkeypatch):
    for name in ("compression", "backports"):
        monkeypatch.setitem(sys.modules, name, None)
    without = imported_anew()
    assert without.PREFERRED == ZLIB
    payload = lines(3000)
    stream = without.compressor(without.PREFERRED, len(payload))
    stored = stream.compress(payload) + stream.flush()
    assert without.decompressor(stored, ZLIB).read(10_000) == payload
    assert without.declared_size(FRAME, ZSTD) is None
    with pytest.raises(UndecodableEntryError, match="zstd"):
        without.decompressor(FRAME, ZSTD)
