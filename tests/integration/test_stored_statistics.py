"""Statistics as Redis holds them: of other versions, damaged, out of reach of clearing, and ending."""

import time
from collections import Counter

import pytest

from langcache_cli.caching._statistics.fleet.field_names import id_of
from langcache_cli.caching.tooling import CacheReport, Label
from tests.integration.cache_support import Database

MINUTE, HOUR = 60, 3600


def numbers(report: CacheReport, *names: str) -> list[int]:
    return [report.total[name] for name in names]


def hashes(redis_server) -> list[bytes]:
    """The keys of the counters."""
    return redis_server.command("KEYS", "cache@stats:*:[15][mh]:*")


OWN = id_of(Label("vocabulary", "vocabulary", "read")).encode()


@pytest.mark.parametrize(
    ("field", "amount"),
    [
        (OWN + b"H", b"many"),
        (OWN + b"H", b"9" * 400),
        (OWN + b"H", b"-5"),
        (OWN + b"H", b""),
        (OWN + b"hx", b"1"),
        (OWN + b"h999", b"1"),
        (OWN + b"h99999999", b"1"),
        (OWN + b"?", b"1"),
        (OWN, b"1"),
        (b"\xff\xfe:aH", b"x"),
        (b"H", b"1"),
        (b"", b"1"),
        (b"~", b"1"),
        (b"~x", b"1"),
    ],
)
async def test_damaged_statistics_are_left_out(cache, redis_server, field, amount):
    database = Database(cache)
    await database.read(1)
    await cache.stats()
    for key in hashes(redis_server):
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
    assert len(hashes(redis_server)) == 3
    await cache.invalidate("cache:*")
    for name in cache.settings.types:
        await cache.invalidate_type(name)
    assert set(redis_server.command("KEYS", "*")) - {b"cache@stats:events"} == set(statistics)
    assert numbers(await cache.report(), "hits", "misses") == [2, 1]


async def test_statistics_end_by_themselves(cache, redis_server):
    await Database(cache).read(1)
    await cache.report()
    ends = {
        key.split(b":")[-2]: redis_server.command("TTL", key)
        for key in redis_server.command("KEYS", "cache@stats:*")
    }
    for name, seconds in ((b"1m", 2 * HOUR), (b"5m", 25 * HOUR), (b"1h", 8 * 24 * HOUR)):
        assert seconds <= ends.pop(name) <= seconds + HOUR
    assert all(0 < left <= 8 * 24 * HOUR for left in ends.values())


async def test_a_window_holds_what_happened_in_it_and_nothing_older(one_cache, monkeypatch):
    runtime, label = one_cache.runtime(), Label("vocabulary", "vocabulary", "read")
    now = int(time.time()) // HOUR * HOUR + 30 * MINUTE
    runtime.publisher.writer._now_ms = runtime.fleet.reader._now_ms = lambda: 1000 * now
    counts = {
        now - minutes_ago * MINUTE: {label: {"hits": calls}}
        for minutes_ago, calls in ((0, 1), (2, 10), (90, 100), (36 * 60, 1000))
    }
    await runtime.publisher.writer.add(counts)
    assert counts == {}
    hits = Counter()
    for window in (MINUTE, 5 * MINUTE, HOUR, 2 * HOUR, 24 * HOUR, 7 * 24 * HOUR):
        hits[window] = (await one_cache.report(window_seconds=window)).total["hits"]
    assert list(hits.values()) == [1, 11, 11, 111, 111, 1111]


OF_VERSION_0_1 = {
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


async def test_statistics_that_version_0_1_wrote_are_read(one_cache, one_redis):
    now = int(time.time())
    for minute in (now // MINUTE * MINUTE, (now - 120) // MINUTE * MINUTE):
        for name, count in OF_VERSION_0_1.items():
            one_redis.command("HSET", f"cache@stats:m:{minute}", name, count)
            one_redis.command("HINCRBY", f"cache@stats:h:{minute // HOUR * HOUR}", name, count)
    report = await one_cache.report()
    word = report.types["vocabulary"]
    assert [word[name] for name in ("hits", "near", "misses", "loads", "bytes_read")] == [60, 20, 20, 4, 8192]
    assert word.percentile_ms("hit", 100) == 2**10 / 1000
    assert word.percentile_ms("load", 100) == 2**17 / 1000
    assert report.types["quiz"].counts == {"misses": 2, "of_a_newer_version": 10}
    assert sorted(report.types) == ["quiz", "vocabulary"]
    of_no_function = report.total.exported(per_function=False)
    assert of_no_function == {"cleared_keys": 0, "invalidated_tags": 0, "deferred": 6, "delivered": 4}
    stats = await one_cache.stats()
    assert (stats["hits"], stats["misses"], stats["hit_rate"]) == (60, 22, round(60 / 82, 4))
    assert stats["counters"]["near"] == stats["types"]["vocabulary"]["counters"]["near"] == 20
    assert "of_a_newer_version" not in stats["counters"]
