"""The cache's own numbers: of all processes, exact, and undisturbed by outages, cancelling and clearing."""

import asyncio
import re
import time
from collections import Counter
from typing import get_type_hints

import pytest

from langcache_cli.caching import CacheStats, CacheUnavailableError, get_cache_stats, set_default_cache
from langcache_cli.caching.tooling import CacheReport
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, cache_at, python, waiting

ASKED_FOR = {
    "enabled", "used_memory_human", "used_memory_mb", "keys_count", "hits", "misses", "hit_rate",
    "connected_clients", "uptime_days", "types",
}  # fmt: skip
MINUTE, HOUR = 60, 3600


def numbers(report: CacheReport, *names: str) -> list[int]:
    return [report.total[name] for name in names]


async def test_every_kind_of_call_is_counted_once(cache, redis_server):
    database = Database(cache, held=True)
    calls = [asyncio.create_task(database.read(1)) for _ in range(5)]
    await aeventually(lambda: waiting(cache) == 5, every=0.001)
    database.gate.open()
    await asyncio.gather(*calls)  # 1 load, 4 joined
    await asyncio.gather(*(database.read(1) for _ in range(10)))  # hits
    assert await database.read.invalidate(1)
    database.error = LookupError("no such word")
    with pytest.raises(LookupError):
        await database.read(1)
    database.error = None
    redis_server.command("SET", database.read.key_for(2), "foreign")
    await database.read(2)
    total = (await cache.report()).total
    counted = {
        name: count for name, count in total.counts.items() if "_us." not in name and "bytes" not in name
    }
    assert counted == {
        "misses": 7, "joined": 4, "loads": 3, "load_errors": 1, "hits": 10,
        "invalidated": 1, "undecodable": 1,
    }  # fmt: skip
    assert sum(count for name, count in total.counts.items() if name.startswith("hit_us.")) == 10
    assert sum(count for name, count in total.counts.items() if name.startswith("load_us.")) == 2
    assert total["bytes_read"] > total["bytes_written"] > 0
    assert total.hit_rate == 10 / 17


COUNTING = """
import asyncio, sys
from tests.integration.cache_support import Database, cache_at

async def main(url, calls):
    async with cache_at(url, stats_flush_seconds=0.01) as cache:
        database = Database(cache)
        for _ in range(calls):
            await database.read(1)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def test_the_counts_of_several_processes_add_up_exactly(cache, redis_url):
    database = Database(cache)
    await database.read(1)
    processes = [python("-c", COUNTING, redis_url, str(calls)) for calls in (100, 200, 300)]
    outputs = await asyncio.gather(*(asyncio.to_thread(process.communicate) for process in processes))
    assert [errors for _, errors in outputs] == [""] * 3
    for _ in range(50):
        await database.read(1)
    stats = await cache.stats()
    assert (stats["hits"], stats["misses"], stats["hit_rate"]) == (650, 1, round(650 / 651, 4))
    assert numbers(await cache.report(), "hits", "misses", "loads") == [650, 1, 1]


async def test_the_keys_a_health_page_asks_for_are_there(cache, redis_server):
    vocabulary, video = Database(cache), Database(cache, prefix="episodes")
    for database in (vocabulary, vocabulary, vocabulary, video):
        await database.read(1)
    before = set_default_cache(cache)
    try:
        stats = await get_cache_stats()
    finally:
        set_default_cache(before)
    assert set(stats) >= ASKED_FOR
    assert set(stats) == set(get_type_hints(CacheStats))
    assert stats["enabled"] is stats["reachable"] is True
    assert stats["used_memory_mb"] > 0
    assert stats["used_memory_human"][-1] in "BKMG"
    assert stats["keys_count"] == 2  # counted before the statistics were written
    assert stats["connected_clients"] >= 1
    assert stats["uptime_days"] >= 0
    assert (stats["hits"], stats["misses"], stats["hit_rate"]) == (2, 2, 0.5)
    assert {name: (item["hits"], item["misses"]) for name, item in stats["types"].items()} == {
        "vocabulary": (2, 1),
        "video": (0, 1),
    }


async def test_without_redis_the_health_page_still_has_all_keys(open_cache, own_redis):
    server = own_redis()
    cache = open_cache(server.url, operation_timeout=0.25)
    await Database(cache).read(1)
    for break_it in (server.pause, server.kill):
        break_it()
        stats = await cache.stats()
        assert set(stats) == set(get_type_hints(CacheStats))
        assert (stats["enabled"], stats["reachable"], stats["hits"]) == (True, False, 0)
    with pytest.raises(CacheUnavailableError):
        await cache.report()


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


async def test_statistics_that_are_too_slow_are_told_from_none(open_cache, own_redis):
    server = own_redis()
    cache = open_cache(server.url, operation_timeout=0.5)
    await Database(cache).read(1)
    server.command("ACL", "SETUSER", "default", "-hgetall")
    stats = await cache.stats()
    assert (stats["reachable"], stats["numbers"], stats["hits"]) == (True, False, 0)
    server.command("ACL", "SETUSER", "default", "+hgetall")
    stats = await cache.stats()
    assert (stats["reachable"], stats["numbers"], stats["misses"]) == (True, True, 1)


async def test_a_redis_that_hangs_costs_a_health_page_its_budget_a_few_times_only(open_cache, own_redis):
    server = own_redis()
    cache = open_cache(server.url, operation_timeout=0.25)
    await cache.ping()
    server.pause()
    for _ in range(3):
        await cache.stats()
    assert cache.runtime().server.node.breaker.open
    server.resume()


async def test_counts_are_kept_through_an_outage_and_delivered_after_it(open_cache, own_redis):
    server = own_redis(appendonly=True)
    cache = open_cache(server.url, stats_flush_seconds=0.02)
    reader = open_cache(server.url)
    database = Database(cache)
    for _ in range(4):
        await database.read(1)
    server.kill()
    for _ in range(100):
        await database.read(1)
    await aeventually(
        lambda: cache.runtime().bulk_server.breaker.open, within=20
    )  # several deliveries have failed
    server.start()
    await aeventually(lambda: _reports(reader, "hits", 3), within=20)
    await aeventually(lambda: _reports(reader, "bypassed", 100), within=20)
    assert numbers(await reader.report(), "misses", "loads") == [1, 101]


async def _reports(cache, name, count):
    try:
        return (await cache.report()).total[name] == count
    except CacheUnavailableError:
        return False


async def test_counts_are_delivered_without_anybody_asking(open_cache):
    cache, reader = open_cache(stats_flush_seconds=0.02), open_cache()
    await Database(cache).read(1)
    await aeventually(lambda: _reports(reader, "misses", 1))


async def test_counts_survive_that_their_delivery_is_cancelled(cache, open_cache):
    reader, database = open_cache(), Database(cache)
    await database.read(1)
    for steps in range(1, 40):
        await database.read(1)
        delivery = asyncio.create_task(cache.runtime().publisher.now())
        for _ in range(steps):
            await asyncio.sleep(0)
        delivery.cancel()
        await asyncio.wait([delivery])
    await cache.aclose()
    assert numbers(await reader.report(), "hits", "misses") == [39, 1]


async def test_counts_survive_a_loop_that_ends_without_closing(redis_url, open_cache):
    def elsewhere():
        cache = cache_at(redis_url)

        @cache.cached(key_prefix="vocabulary")
        async def word(item: int) -> int:
            return item

        async def ten_calls():
            for _ in range(10):
                await word(1)

        for _ in range(3):
            asyncio.run(ten_calls())

    await asyncio.to_thread(elsewhere)
    assert numbers(await open_cache().report(), "hits", "misses") == [29, 1]


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


async def test_statistics_that_another_version_wrote_are_read(cache, redis_server):
    now = int(time.time())
    for minute in (now // MINUTE * MINUTE, (now - 120) // MINUTE * MINUTE):
        for name, count in OF_THE_VERSION_BEFORE.items():
            redis_server.command("HSET", f"cache@stats:m:{minute}", name, count)
    report = await cache.report()
    word = report.types["vocabulary"]
    assert [word[name] for name in ("hits", "near", "misses", "loads", "bytes_read")] == [60, 20, 20, 4, 8192]
    assert word.percentile_ms("hit", 100) == 2**10 / 1000
    assert word.percentile_ms("load", 100) == 2**17 / 1000
    assert report.types["quiz"].counts == {"misses": 2, "of_a_newer_version": 10}
    assert sorted(report.types) == ["quiz", "vocabulary"]
    assert report.total.exported(per_function=False) == {"deferred": 6, "delivered": 4}
    stats = await cache.stats()
    assert (stats["hits"], stats["misses"], stats["hit_rate"]) == (60, 22, round(60 / 82, 4))
    assert stats["counters"]["near"] == stats["types"]["vocabulary"]["counters"]["near"] == 20
    assert "of_a_newer_version" not in stats["counters"]


async def test_statistics_are_written_as_the_version_before_wrote_them(cache, redis_server):
    database = Database(cache)
    for _ in range(2):
        await database.read(1)
    minutes = {int(time.time()) // MINUTE * MINUTE}
    await cache.report()
    minutes.add(int(time.time()) // MINUTE * MINUTE)
    hashes = [redis_server.command("HGETALL", f"cache@stats:m:{minute}") for minute in minutes]
    (written,) = [dict(zip(found[::2], found[1::2], strict=True)) for found in hashes if found]
    label = b"vocabulary:vocabulary:read:"
    counts = {name.removeprefix(label): int(count) for name, count in written.items()}
    latencies = {name for name in counts if re.fullmatch(rb"(hit|load)_us\.[0-9]+", name)}
    assert sum(counts[name] for name in latencies) == 2
    assert {name: count for name, count in counts.items() if name not in latencies} == {
        b"hits": 1, b"misses": 1, b"loads": 1, b"bytes_read": 5, b"bytes_written": 5,
    }  # fmt: skip


async def test_reading_the_statistics_counts_as_nothing(cache):
    await Database(cache).read(1)
    before = numbers(await cache.report(), "hits", "misses", "loads")
    for _ in range(3):
        await cache.report()
        await cache.stats()
    assert numbers(await cache.report(), "hits", "misses", "loads") == before
