"""Keys that are asked for most: sampled in each process, added up in Redis, estimated for a window."""

import pytest

from langcache_cli.caching import Cache, ServerReplyError
from langcache_cli.caching._statistics.key_sampler import CALLS_PER_SAMPLE
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.operations.overview.collecting import CacheOverview
from tests.harness.acl import grant, kind_of, url_for
from tests.integration.cache_support import Database

START = 1_800_000_000  # of five minutes, and of an hour
HOUR = 3600


class Clock:
    """The time of day of the hot keys of a cache, moved on by tests."""

    def __init__(self, cache: Cache) -> None:
        self.now = START
        cache.runtime().fleet.hot_keys._now_ms = lambda: 1000 * self.now


def draw(cache: Cache, **samples: int) -> None:
    """Let keys be drawn."""
    for key, number in samples.items():
        for _ in range(number):
            cache.runtime().fleet.hot_keys.sampler.sample(key)


async def deliver(cache: Cache) -> None:
    await cache.runtime().fleet.hot_keys.deliver(Budget(1))


async def top(cache: Cache, window: int = HOUR) -> dict[str, int]:
    """Samples by key."""
    found = await cache.runtime().fleet.hot_keys.top(window, 10)
    return {one.key.decode(): one.calls // CALLS_PER_SAMPLE for one in found}


async def test_calls_of_several_processes_are_added_up_and_the_rarely_asked_left_out(open_cache, redis_url):
    one, other = open_cache(redis_url), open_cache(redis_url)
    draw(one, often=10, seldom=7)
    draw(other, often=20)
    for cache in (one, other, one):
        await deliver(cache)
    assert await top(one) == {"often": 30}


async def test_hits_near_hits_and_misses_are_drawn_alike(open_cache, redis_url, monkeypatch):
    monkeypatch.setattr("langcache_cli.caching._statistics.key_sampler.CALLS_PER_SAMPLE", 1)
    for options in ({}, {"local_ttl": 30}):
        cache = open_cache(redis_url)
        database = Database(cache, **options)
        for _ in range(30):
            await database.read(1)
        (found,) = cache.runtime().fleet.hot_keys.sampler.news().values()
        assert found == 30
        await cache.invalidate("cache:*")


async def test_the_overview_names_them_after_the_counters_were_delivered(open_cache, redis_url, monkeypatch):
    monkeypatch.setattr("langcache_cli.caching._statistics.key_sampler.CALLS_PER_SAMPLE", 1)
    cache = open_cache(redis_url)
    database = Database(cache)
    for _ in range(20):
        await database.read(1)
    await cache.report()  # delivers first
    document = await CacheOverview(cache).collect("1h")
    (hot,) = document["hot"]
    assert hot["key"].endswith(":1")
    assert (hot["type"], hot["calls"], document["hot_problem"]) == ("vocabulary", 20 * 64, "")


async def test_each_five_minutes_are_read_once_after_their_end(open_cache, redis_url):
    cache = open_cache(redis_url)
    clock = Clock(cache)
    for calls in (10, 20, 30):
        draw(cache, key=calls)
        await deliver(cache)
        clock.now += 300
    assert await top(cache) == {"key": 60}
    keys = cache.runtime().fleet.hot_keys
    read = []
    ask = keys._read
    keys._read = lambda starts, budget: read.append(len(starts)) or ask(starts, budget)
    clock.now += 60
    assert await top(cache) == {"key": 60}
    assert read == [2]  # the running five minutes, and the last, which had not been final
    assert await top(cache, window=300) == {"key": 30}
    clock.now += 86400
    assert await top(cache, window=7 * 86400) == {}


async def test_only_fifty_keys_are_kept_for_a_day(open_cache, one_redis):
    cache = open_cache(one_redis.url)
    for start in (0, 50):
        draw(cache, **{f"key_{number}": 10 + number for number in range(start, start + 50)})
        await deliver(cache)
        cache.runtime().fleet.hot_keys.sampler.start_over()
    (key,) = one_redis.command("KEYS", "cache@stats:hot:*")
    assert one_redis.command("ZCARD", key) == 50
    assert one_redis.command("ZSCORE", key, "key_0") is None
    assert 86400 < one_redis.command("TTL", key) <= 300 + 25 * HOUR


async def test_what_redis_did_not_confirm_is_delivered_later(open_cache, own_redis):
    server = own_redis(appendonly=True)
    cache = open_cache(server.url)
    draw(cache, key=10)
    server.kill()
    with pytest.raises(Exception, match="onnect"):
        await deliver(cache)
    server.start()
    draw(cache, key=5)
    await deliver(cache)
    assert await top(cache) == {"key": 15}


async def test_without_the_right_to_read_them_the_overview_says_so(open_cache, one_redis):
    grant([one_redis], kind_of(one_redis.url), without=["+zrevrange"])
    document = await CacheOverview(open_cache(url_for(one_redis.url))).collect("1h")
    assert document["status"] == "healthy"
    assert document["hot"] == []
    assert "zrevrange" in document["hot_problem"]


async def test_without_the_right_to_add_them_the_counters_still_arrive(open_cache, one_redis):
    grant([one_redis], kind_of(one_redis.url), without=["+zincrby"])
    cache = open_cache(url_for(one_redis.url))
    clock = Clock(cache)
    draw(cache, key=10)
    await Database(cache).read(1)
    assert (await cache.report()).total["misses"] == 1
    draw(cache, key=10)
    await deliver(cache)  # not tried again for a while
    clock.now += 600
    draw(cache, key=10)
    with pytest.raises(ServerReplyError, match="zincrby"):
        await deliver(cache)


async def test_a_setting_switches_them_off(open_cache, redis_url):
    cache = open_cache(redis_url, hot_keys=False)
    database = Database(cache)
    for _ in range(300):
        await database.read(1)
    assert cache.runtime().fleet.hot_keys.sampler.news() == {}
    document = await CacheOverview(cache).collect("1h")
    assert "LANGCACHE_HOT_KEYS" in document["hot_problem"]
