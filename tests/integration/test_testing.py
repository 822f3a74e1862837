"""The test kit for applications: a cache without a server, a clock, and fault injection."""

import asyncio

import pytest

from langcache_cli.caching import Cache, CacheSettings, CacheUnavailableError
from langcache_cli.caching.testing import FakeClock, Faults, memory_cache, null_cache
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def faults() -> Faults:
    return Faults()


async def test_a_memory_cache_works_like_one_with_redis(clock):
    async with memory_cache(clock=clock) as cache:
        database = Database(cache)
        assert await database.read(1) == await database.read(1) == [1, 0]
        database.versions[1] = 1
        assert await database.read(1) == [1, 0]
        assert await database.read.invalidate(1)
        assert await database.read(1) == [1, 1]
        assert await cache.invalidate_type("vocabulary") == 1
        assert await asyncio.gather(*(database.read(2) for _ in range(50))) == [[2, 0]] * 50
        assert database.reads == {1: 2, 2: 1}
        assert await cache.set("user_stats:1", {"a": 1})
        assert await cache.get("user_stats:1") == {"a": 1}
        assert [key async for keys in cache.scan() for key in keys] == [
            "cache:vocabulary:read:2",
            "cache:user_stats:1",
        ]
        total = (await cache.report()).total
        assert total["hits"] + total["misses"] == 55
        assert total["hits"] >= 3  # more, if the value for the 50 was there before the last of them looked


async def test_an_entry_expires_by_the_clock_of_the_test(clock):
    async with memory_cache(clock=clock) as cache:
        versions = {1: 0}

        @cache.cached(key_prefix="words", ttl=60)
        async def read(item: int) -> int:
            return versions[item]

        assert await read(1) == 0
        versions[1] = 1
        clock.advance(59.9)
        assert await read(1) == 0
        clock.advance(0.2)
        assert await read(1) == 1


async def test_stale_serving_and_tags_can_be_tested_without_waiting(clock):
    async with memory_cache(clock=clock) as cache:
        versions = {1: 0}

        @cache.cached(key_prefix="words", ttl=60, stale_ttl=600, tags=("word:{item}",))
        async def read(item: int) -> int:
            return versions[item]

        assert await read(1) == 0
        versions[1] = 1
        clock.advance(61)
        assert await read(1) == 0  # stale; refreshed in the background

        async def refreshed() -> bool:
            return await read(1) == 1

        await aeventually(refreshed)
        versions[1] = 2
        await cache.invalidate_tags("word:1")
        assert await read(1) == 2


async def test_a_null_cache_stores_nothing():
    async with null_cache() as cache:
        database = Database(cache)
        for _ in range(3):
            assert await database.read(1) == [1, 0]
        assert database.reads[1] == 3
        assert await database.read.invalidate(1) is False
        assert await cache.get("user_stats:1") is None


def make(kind: str, redis_url: str, faults: Faults) -> Cache:
    if kind == "memory":
        return memory_cache(faults=faults, operation_timeout=0.2)
    settings = CacheSettings.load(env_file=None, redis_url=redis_url, operation_timeout=0.2)
    return Cache(settings, externals=faults.externals())


@pytest.mark.parametrize("kind", ["memory", "redis"])
@pytest.mark.parametrize("how", ["fail", "drop", "drop_replies"])
async def test_while_a_fault_lasts_calls_run_the_function_and_invalidations_wait(
    redis_url, faults, kind, how
):
    async with make(kind, redis_url, faults) as cache:
        database = Database(cache)
        await database.read(1)
        getattr(faults, how)()
        database.versions[1] = 1
        assert await database.read(1) == [1, 1]
        assert not await database.read.invalidate(1)
        assert cache.pending_invalidations == 1
        with pytest.raises(CacheUnavailableError):
            await cache.ping()
        faults.heal()
        assert await database.read(1) == [1, 1]
        await aeventually(lambda: cache.pending_invalidations == 0)
        assert await database.read(1) == [1, 1]


@pytest.mark.parametrize("kind", ["memory", "redis"])
async def test_a_delay_longer_than_the_budget_is_an_outage_and_a_shorter_one_is_not(redis_url, faults, kind):
    async with make(kind, redis_url, faults) as cache:
        database = Database(cache)
        await database.read(1)
        faults.delay(0.02)
        assert await database.read(1) == [1, 0]
        assert await cache.ping() >= 0.02
        assert database.reads[1] == 1
        faults.delay(60)  # a busy event loop is not charged for the time that it is busy
        database.versions[1] = 1
        assert await database.read(1) == [1, 1]


async def test_faults_end_with_their_block(faults):
    async with memory_cache(faults=faults) as cache:
        with faults.failing(), pytest.raises(CacheUnavailableError):
            await cache.ping()
        await cache.ping()


async def test_a_memory_cache_rejects_commands_that_it_does_not_support():
    async with memory_cache() as cache:
        with pytest.raises(Exception, match="the memory server does not support it"):
            await cache.runtime().server.call("LPUSH", "a", "b")
