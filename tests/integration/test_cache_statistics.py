"""The cache's own numbers: of all processes, exact, and undisturbed by outages and cancelling."""

import asyncio
from typing import get_type_hints

import pytest

from langcache_cli.caching import (
    CacheStats,
    CacheUnavailableError,
    cached_many,
    get_cache_stats,
    set_default_cache,
)
from langcache_cli.caching.tooling import CacheReport
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, cache_at, python, waiting

ASKED_FOR = {
    "enabled", "used_memory_human", "used_memory_mb", "keys_count", "hits", "misses", "hit_rate",
    "connected_clients", "uptime_days", "types",
}  # fmt: skip


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


async def test_misses_by_an_invalidated_tag_are_counted(cache):
    database = Database(cache, tags=("all", "item:{item}"))

    @cached_many(database.read, each="items")
    async def read_many(items: list[int]) -> list[list[int]]:
        return [[item, 0] for item in items]

    for item in (1, 2):
        await database.read(item)
    await cache.invalidate_tags("item:1")
    await database.read(1)
    assert numbers(await cache.report(), "misses", "outdated") == [3, 1]

    await read_many([1, 2, 3, 4])
    await cache.invalidate_tags("all")
    await read_many([1, 2, 3])
    await database.read.invalidate(4)
    await read_many([4])
    assert numbers(await cache.report(), "misses", "outdated") == [3 + 2 + 3 + 1, 1 + 3]


async def test_of_calls_that_wait_for_one_load_one_is_missed_by_its_tag(cache):
    database = Database(cache, tags=("all",), held=True)
    database.gate.open()
    await database.read(1)
    await cache.invalidate_tags("all")
    database.gate.shut()
    calls = [asyncio.create_task(database.read(1)) for _ in range(5)]
    await aeventually(lambda: waiting(cache) == 5, every=0.001)
    database.gate.open()
    await asyncio.gather(*calls)
    assert numbers(await cache.report(), "misses", "joined", "outdated") == [6, 4, 1]


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


@pytest.mark.parametrize("step", ["delivery", "reading"])
async def test_statistics_that_are_too_slow_are_told_from_none(
    open_cache, one_redis, fault_proxy, monkeypatch, step
):
    proxy = fault_proxy(one_redis.port)
    cache = open_cache(f"redis://127.0.0.1:{proxy.port}/0", operation_timeout=0.5)
    await Database(cache).read(1)
    runtime = cache.runtime()
    slow, name = (runtime.publisher, "now") if step == "delivery" else (runtime.fleet.reader, "read")
    at_once = getattr(slow, name)

    def late(*args, **options):
        proxy.swallow_replies()  # what Redis says of itself has come
        return at_once(*args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(slow, name, late)
        stats = await cache.stats()
    assert (stats["reachable"], stats["usable"], stats["numbers"], stats["hits"]) == (True, True, False, 0)
    assert "time" in stats["error"]
    proxy.heal()

    async def is_whole_again() -> bool:
        stats = await cache.stats()
        return (stats["numbers"], stats["misses"], stats["error"]) == (True, 1, "")

    await aeventually(is_whole_again)


async def test_statistics_that_may_not_be_read_are_told_from_none(open_cache, own_redis):
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
        lambda: cache.runtime().bulk_server.node.breaker.open, within=60
    )  # several deliveries have failed
    server.start()
    await aeventually(lambda: _reports(reader, "hits", 3), within=60)
    await aeventually(lambda: _reports(reader, "bypassed", 100), within=60)
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


async def test_reading_the_statistics_counts_as_nothing(cache):
    await Database(cache).read(1)
    before = numbers(await cache.report(), "hits", "misses", "loads")
    for _ in range(3):
        await cache.report()
        await cache.stats()
    assert numbers(await cache.report(), "hits", "misses", "loads") == before
