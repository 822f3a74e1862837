"""Compression of large payloads; damaged ones are undecodable."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langcache_cli.caching._errors import OversizedEntryError, UncacheableValueError, UndecodableEntryError
from langcache_cli.caching._values.compression import (
    UNCOMPRESSED,
    ZLIB,
    compress,
    compressing,
    decompress,
    decompress_short,
    decompressing,
)
from langcache_cli.caching._values.large.portions import LARGE_BYTES

payloads = st.binary(max_size=300) | st.binary(min_size=1, max_size=3).map(lambda piece: piece * 1000)


@given(payloads, st.integers(0, 1000))
def test_a_compressed_payload_decompresses_to_the_original(payload, min_bytes):
    stored, method = compress(payload, min_bytes=min_bytes)
    assert decompress(stored, method) == payload
    assert len(stored) <= len(payload)


def test_only_large_and_compressible_payloads_are_compressed():
    assert compress(b"a" * 100, min_bytes=101) == (b"a" * 100, UNCOMPRESSED)
    assert compress(b"a" * 101, min_bytes=101)[1] == ZLIB
    assert compress(b"a" * 10_000, min_bytes=0) == (b"a" * 10_000, UNCOMPRESSED)
    noise = zlib.compress(bytes(range(256)) * 9)
    assert compress(noise, min_bytes=1) == (noise, UNCOMPRESSED)


@given(st.binary(max_size=100))
def test_foreign_bytes_are_undecodable(data):
    try:
        decompress(data, ZLIB)
    except UndecodableEntryError:
        return
    assert zlib.decompress(data) is not None


@given(st.data())
def test_a_truncated_or_extended_payload_is_undecodable(data):
    stored, _ = compress(b"Haus und Hof " * 100, min_bytes=1)
    for damaged in (stored[: data.draw(st.integers(0, len(stored) - 1))], stored + b"x"):
        with pytest.raises(UndecodableEntryError):
            decompress(damaged, ZLIB)


def test_an_unknown_compression_is_undecodable():
    with pytest.raises(UndecodableEntryError, match="zstd"):
        decompress(b"x", "zstd")


def test_a_decompression_bomb_is_not_decompressed():
    with pytest.raises(OversizedEntryError):
        decompress(zlib.compress(b"0" * 10_001), ZLIB, max_bytes=10_000)
    assert decompress(zlib.compress(b"0" * 9_999), ZLIB, max_bytes=10_000) == b"0" * 9_999


def test_no_payload_becomes_larger_than_what_a_process_can_bear():
    bomb = zlib.compress(b"0" * (33 * 1024 * 1024))
    assert len(bomb) < 100_000
    with pytest.raises(OversizedEntryError):
        decompress(bomb, ZLIB)


def test_a_larger_value_is_stored_uncompressed():
    for size in (9_999, 10_000, 10_001):
        stored, method = compress(b"0" * size, min_bytes=1, max_bytes=10_000)
        assert decompress(stored, method, max_bytes=10_000) == b"0" * size
    assert method == UNCOMPRESSED


def test_both_ways_go_in_steps():
    payload = b"Haus und Hof " * 200_000
    steps = list(compressing(payload, min_bytes=1, max_bytes=10**8))
    stored, method = compress(payload, min_bytes=1)
    assert len(steps) >= 9
    assert len(list(decompressing(stored, method, max_bytes=10**8))) >= 9
    assert zlib.decompress(stored) == payload


@pytest.mark.parametrize("size", [0, 1, LARGE_BYTES - 1, LARGE_BYTES])
def test_short_payloads_are_decompressed_at_once(size):
    assert decompress_short(zlib.compress(b"0" * size), ZLIB) == b"0" * size


def test_long_payloads_are_not():
    assert decompress_short(zlib.compress(b"0" * (LARGE_BYTES + 1)), ZLIB) is None
    assert decompress_short(zlib.compress(b"0" * 10**8), ZLIB) is None
    with pytest.raises(UndecodableEntryError):
        decompress_short(zlib.compress(b"0" * 100)[:-1], ZLIB)
    with pytest.raises(UndecodableEntryError):
        decompress_short(zlib.compress(b"0" * 100) + b"x", ZLIB)


def test_json_of_too_many_objects_is_neither_written_nor_read():
    limit = 10**6
    few, many = (b"[" + b"{}," * n + b"{}]" for n in (limit // 16 - 3, limit // 16))
    for min_bytes in (0, 1):
        stored, method = compress(few, min_bytes=min_bytes, max_bytes=limit)
        assert decompress(stored, method, max_bytes=limit) == few
        with pytest.raises(UncacheableValueError, match="too many"):
            compress(many, min_bytes=min_bytes, max_bytes=limit)
    for stored, method in ((many, UNCOMPRESSED), (zlib.compress(many), ZLIB)):
        with pytest.raises(OversizedEntryError, match="too many"):
            decompress(stored, method, max_bytes=limit)
