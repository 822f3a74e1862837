"""Large values are stored compressed, and come back whole or not at all."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langcache_cli.caching._errors import UndecodableEntryError
from langcache_cli.caching._values import compression
from langcache_cli.caching._values.compression import AS_IT_IS, ZLIB, packed, unpacked

payloads = st.binary(max_size=300) | st.binary(min_size=1, max_size=3).map(lambda piece: piece * 1000)


@given(payloads, st.integers(0, 1000))
def test_what_is_packed_comes_back(payload, from_bytes):
    stored, packing = packed(payload, from_bytes=from_bytes)
    assert unpacked(stored, packing) == payload
    assert len(stored) <= len(payload)


def test_only_what_is_large_and_becomes_smaller_is_packed():
    assert packed(b"a" * 100, from_bytes=101) == (b"a" * 100, AS_IT_IS)
    assert packed(b"a" * 101, from_bytes=101)[1] == ZLIB
    assert packed(b"a" * 10_000, from_bytes=0) == (b"a" * 10_000, AS_IT_IS)
    noise = zlib.compress(bytes(range(256)) * 9)
    assert packed(noise, from_bytes=1) == (noise, AS_IT_IS)


@given(st.binary(max_size=100))
def test_foreign_bytes_are_undecodable_and_nothing_worse(data):
    try:
        unpacked(data, ZLIB)
    except UndecodableEntryError:
        return
    assert zlib.decompress(data) is not None


@given(st.data())
def test_what_was_cut_off_or_added_to_is_undecodable(data):
    stored, _ = packed(b"Haus und Hof " * 100, from_bytes=1)
    for damaged in (stored[: data.draw(st.integers(0, len(stored) - 1))], stored + b"x"):
        with pytest.raises(UndecodableEntryError):
            unpacked(damaged, ZLIB)


def test_what_a_later_version_has_packed_is_undecodable():
    with pytest.raises(UndecodableEntryError, match="zstd"):
        unpacked(b"x", "zstd")


def test_nobody_fills_our_memory_with_a_few_bytes(monkeypatch):
    monkeypatch.setattr(compression, "MAX_BYTES", 10_000)
    with pytest.raises(UndecodableEntryError):
        unpacked(zlib.compress(b"0" * 10_001), ZLIB)
    assert unpacked(zlib.compress(b"0" * 9_999), ZLIB) == b"0" * 9_999
