"""Large values in Redis: small there, and the same as ever for all who get them."""

import asyncio
import zlib

import pytest

from langcache_cli.caching import cached_many
from langcache_cli.caching._protocol.entry import parse
from langcache_cli.caching._values import compressed_streams, compression
from langcache_cli.caching._values.compressed_streams import zstd
from langcache_cli.caching.tooling import warm
from tests.harness.polling import aeventually

LARGE = "Haus und Hof, Wald und Wiese. " * 1000


@pytest.fixture
def texts(cache):
    @cache.cached(key_prefix="subtitles", local_ttl=60)
    async def text(number: int) -> str:
        return f"{number} {LARGE}" if number else "short"

    return text


async def test_a_large_value_is_stored_small_and_comes_back(texts, redis_server):
    assert [await texts(1) for _ in range(3)] == [f"1 {LARGE}"] * 3
    stored = redis_server.command("GET", texts.key_for(1))
    assert len(stored) < len(LARGE) / 10
    assert stored.partition(b"\n")[0].endswith(b" zip=zstd")
    assert zstd.decompress(parse(stored).payload).decode() == f'"1 {LARGE}"'
    assert texts.cache.statistics_of(texts).counts["bytes_written"] < len(LARGE) / 10


async def test_a_small_value_is_stored_as_it_is(texts, redis_server):
    await texts(0)
    assert redis_server.command("GET", texts.key_for(0)).endswith(b'\n"short"')


async def test_callers_that_join_a_load_get_it_too(texts):
    assert await asyncio.gather(*(texts(1) for _ in range(10))) == [f"1 {LARGE}"] * 10


async def test_a_warmed_value_is_stored_small_too(texts, redis_server):
    async def load(calls):
        return [await texts.uncached(**call) for call in calls]

    counts = await warm(texts.cache, texts, [{"number": 1}], load)
    assert counts.written == 1
    assert redis_server.command("STRLEN", texts.key_for(1)) < len(LARGE) / 10
    assert await texts(1) == f"1 {LARGE}"
    assert texts.cache.statistics_of(texts).counts["hits"] == 1


async def test_it_is_kept_near_as_well(texts):
    async def is_near() -> bool:
        assert await texts(1) == f"1 {LARGE}"
        return texts.cache.statistics_of(texts).counts.get("near", 0) > 0

    await aeventually(is_near)


async def test_damaged_bytes_are_a_miss(texts, redis_server):
    await texts(1)
    key = texts.key_for(1)
    redis_server.command("SET", key, redis_server.command("GET", key)[:-3])
    assert await texts(1) == f"1 {LARGE}"
    assert texts.cache.statistics_of(texts).counts["undecodable"] == 1


@pytest.fixture
def many(texts):
    @cached_many(texts, each="numbers")
    async def many(numbers: list[int]) -> list[str]:
        return [await texts.uncached(number) for number in numbers]

    return many


async def test_an_entry_of_an_earlier_version_is_a_hit(texts, many, cache, redis_server):
    for key in (texts.key_for(1), "cache:subtitles:plain"):
        await (texts(1) if key == texts.key_for(1) else cache.set("subtitles:plain", LARGE))
        entry = parse(redis_server.command("GET", key))
        json = zstd.decompress(entry.payload)
        earlier = entry._replace(payload=zlib.compress(json, 1), compression="zlib")
        redis_server.command("SET", key, earlier.to_bytes())
    assert await many([1]) == [await texts(1)] == [f"1 {LARGE}"]
    assert texts.cache.statistics_of(texts).counts["loads"] == 1
    assert await cache.get("subtitles:plain") == LARGE


@pytest.mark.parametrize("as_batch", [False, True])
async def test_a_compression_of_a_later_version_is_a_miss_and_replaced(texts, many, redis_server, as_batch):
    await texts(1)
    key = texts.key_for(1)
    later = redis_server.command("GET", key).replace(b" zip=zstd\n", b" zip=zxc\n", 1)
    assert parse(later).compression == "zxc"
    redis_server.command("SET", key, later)
    assert await (many([1]) if as_batch else texts(1)) == ([f"1 {LARGE}"] if as_batch else f"1 {LARGE}")
    counts = texts.cache.statistics_of(texts).counts
    assert counts["undecodable"] == 1
    assert parse(redis_server.command("GET", key)).compression == "zstd"
    assert await texts(1) == f"1 {LARGE}"
    assert texts.cache.statistics_of(texts).counts["loads"] == 2


async def test_a_process_without_zstandard_stores_it_once_more_for_all(texts, redis_server, monkeypatch):
    await texts(1)
    with monkeypatch.context() as without:
        without.setattr(compressed_streams, "zstd", None)
        without.setattr(compression, "PREFERRED", "zlib")
        assert await texts(1) == f"1 {LARGE}"
    assert parse(redis_server.command("GET", texts.key_for(1))).compression == "zlib"
    assert await texts(1) == f"1 {LARGE}"
    counts = texts.cache.statistics_of(texts).counts
    assert (counts["loads"], counts["undecodable"], counts["hits"]) == (2, 1, 1)


async def test_plain_values_are_stored_small_too(cache, redis_server):
    assert await cache.set("subtitles:1", LARGE)
    assert redis_server.command("STRLEN", "cache:subtitles:1") < len(LARGE) / 10
    assert await cache.get("subtitles:1") == LARGE


async def test_it_can_be_switched_off(open_cache, redis_server):
    cache = open_cache(compress_bytes=0)
    await cache.set("subtitles:1", LARGE)
    assert redis_server.command("STRLEN", "cache:subtitles:1") > len(LARGE)
