"""Statistics as Redis holds them: of other versions, damaged, out of reach of clearing, and ending."""

import re
import time
from collections import Counter

import pytest

from langcache_cli.caching.tooling import CacheReport
from tests.integration.cache_support import Database

MINUTE, HOUR = 60, 3600


def numbers(report: CacheReport, *names: str) -> list[int]:
    return [report.total[name] for name in names]


@pytest.mark.parametrize(
    ("field", "amount"),
    [
        (b"vocabulary:vocabulary:read:hits", b"many"),
        (b"vocabulary:vocabulary:read:hits", b"9" * 400),
        (b"vocabulary:vocabulary:read:hits", b"-5"),
        (b"vocabulary:vocabulary:read:hits", b""),
        (b"vocabulary:vocabulary:read:hit_us.x", b"1"),
        (b"vocabulary:vocabulary:read:hit_us.99999999", b"1"),
        (b"vocabulary:vocabulary:read:tomorrow", b"1"),
        (b"\xff\xfe:a:b:hits", b"x"),
        (b"hits", b"1"),
        (b"", b"1"),
    ],
)
async def test_damaged_statistics_are_left_out(cache, redis_server, field, amount):
    database = Database(cache)
    await database.read(1)
    await cache.stats()
    for key in redis_server.command("KEYS", "cache@stats:*"):
        redis_server.command("HSET", key, field, amount)
    await database.read(2)
    stats = await cache.stats()
    assert (stats["misses"], stats["hits"], stats["numbers"]) == (2, 0, True)
    assert (await cache.report(window_seconds=7 * 86400)).total["misses"] == 2
    latest = (await cache.report()).total
    assert latest.percentile_ms("hit", 95) is None


async def test_statistics_of_another_type_are_left_out(cache, redis_server, caplog):
    await Database(cache).read(1)
    await cache.stats()
    for key in redis_server.command("KEYS", "cache@stats:*"):
        redis_server.command("SET", key, "x")
    for _ in range(2):
        assert (await cache.stats())["numbers"] is True
    assert sum("damaged" in text for text in caplog.messages) == 1


async def test_nothing_can_clear_the_statistics(cache, redis_server):
    database = Database(cache)
    for _ in range(3):
        await database.read(1)
    await cache.report()
    statistics = redis_server.command("KEYS", "cache@stats:*")
    assert len(statistics) == 2
    await cache.invalidate("cache:*")
    for name in cache.settings.types:
        await cache.invalidate_type(name)
    assert sorted(redis_server.command("KEYS", "*")) == sorted(statistics)
    assert numbers(await cache.report(), "hits", "misses") == [2, 1]


async def test_statistics_end_by_themselves(cache, redis_server):
    await Database(cache).read(1)
    await cache.report()
    for key in redis_server.command("KEYS", "cache@stats:*"):
        assert 0 < redis_server.command("TTL", key) <= 8 * 24 * HOUR


async def test_a_window_holds_what_happened_in_it_and_nothing_older(cache, monkeypatch):
    database = Database(cache)
    fleet_totals = cache.runtime().fleet_totals
    now = time.time() // HOUR * HOUR + 30 * MINUTE
    for minutes_ago, calls in ((0, 1), (2, 10), (90, 100), (36 * 60, 1000)):
        moment = round((now - minutes_ago * MINUTE) * 1000)
        monkeypatch.setattr(fleet_totals, "_now_ms", lambda moment=moment: moment)
        cache.statistics.add(cache.label(database.read.spec), "hits", calls)
        await cache.runtime().publisher.now()
    monkeypatch.setattr(fleet_totals, "_now_ms", lambda: round(now * 1000))
    hits = Counter()
    for window in (MINUTE, 5 * MINUTE, HOUR, 2 * HOUR, 24 * HOUR, 7 * 24 * HOUR):
        hits[window] = (await cache.report(window_seconds=window)).total["hits"]
    assert list(hits.values()) == [1, 11, 11, 111, 111, 1111]


OF_THE_VERSION_BEFORE = {
    "vocabulary:vocabulary:get_word:hits": 30,
    "vocabulary:vocabulary:get_word:near": 10,
    "vocabulary:vocabulary:get_word:misses": 10,
    "vocabulary:vocabulary:get_word:bytes_read": 4096,
    "vocabulary:vocabulary:get_word:hit_us.40": 30,
    "vocabulary:vocabulary_level:Words.get_level:loads": 2,
    "vocabulary:vocabulary_level:Words.get_level:load_us.68": 2,
    "quiz:quiz:question:misses": 1,
    "quiz:quiz:question:of_a_newer_version": 5,
    "(outbox):::deferred": 3,
    "(outbox):::delivered": 2,
}


async def test_statistics_that_another_version_wrote_are_read(one_cache, one_redis):
    now = int(time.time())
    for minute in (now // MINUTE * MINUTE, (now - 120) // MINUTE * MINUTE):
        for name, count in OF_THE_VERSION_BEFORE.items():
            one_redis.command("HSET", f"cache@stats:m:{minute}", name, count)
    report = await one_cache.report()
    word = report.types["vocabulary"]
    assert [word[name] for name in ("hits", "near", "misses", "loads", "bytes_read")] == [60, 20, 20, 4, 8192]
    assert word.percentile_ms("hit", 100) == 2**10 / 1000
    assert word.percentile_ms("load", 100) == 2**17 / 1000
    assert report.types["quiz"].counts == {"misses": 2, "of_a_newer_version": 10}
    assert sorted(report.types) == ["quiz", "vocabulary"]
    assert report.total.exported(per_function=False) == {"deferred": 6, "delivered": 4}
    stats = await one_cache.stats()
    assert (stats["hits"], stats["misses"], stats["hit_rate"]) == (60, 22, round(60 / 82, 4))
    assert stats["counters"]["near"] == stats["types"]["vocabulary"]["counters"]["near"] == 20
    assert "of_a_newer_version" not in stats["counters"]


async def test_statistics_are_written_as_the_version_before_wrote_them(one_cache, one_redis):
    database = Database(one_cache)
    for _ in range(2):
        await database.read(1)
    minutes = {int(time.time()) // MINUTE * MINUTE}
    await one_cache.report()
    minutes.add(int(time.time()) // MINUTE * MINUTE)
    hashes = [one_redis.command("HGETALL", f"cache@stats:m:{minute}") for minute in minutes]
    (written,) = [dict(zip(found[::2], found[1::2], strict=True)) for found in hashes if found]
    label = b"vocabulary:vocabulary:read:"
    counts = {name.removeprefix(label): int(count) for name, count in written.items()}
    latencies = {name for name in counts if re.fullmatch(rb"(hit|load)_us\.[0-9]+", name)}
    assert sum(counts[name] for name in latencies) == 2
    assert {name: count for name, count in counts.items() if name not in latencies} == {
        b"hits": 1, b"misses": 1, b"loads": 1, b"bytes_read": 5, b"bytes_written": 5,
    }  # fmt: skip
