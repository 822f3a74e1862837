"""With REDIS_ENABLED=false there is no Redis: nothing is connected, everything works without."""

import asyncio

import pytest

from langcache_cli.caching import (
    MISSING,
    Cache,
    CacheUnavailableError,
    cached,
    close_redis_client,
    get_cache_stats,
    invalidate_cache,
    set_default_cache,
)
from tests.integration.cache_support import Database


@pytest.fixture
def proxy(fault_proxy, one_redis):
    return fault_proxy(one_redis.port)


@pytest.fixture
async def disabled(open_cache, proxy):
    yield open_cache(f"redis://127.0.0.1:{proxy.port}/0", redis_enabled=False)
    assert proxy.connections == 0


async def test_every_call_runs_the_function(disabled):
    database = Database(disabled)
    assert await asyncio.gather(*(database.read(1) for _ in range(10))) == [[1, 0]] * 10
    assert await database.read.refresh(1) == [1, 0]
    assert database.reads == {1: 11}


async def test_there_is_nothing_to_invalidate(disabled):
    database = Database(disabled)
    await database.read(1)
    assert await database.read.invalidate(1) is False
    assert await disabled.invalidate("cache:*") == 0
    assert await disabled.invalidate_type("vocabulary") == 0
    assert await disabled.delete("vocabulary:1") == 0


async def test_plain_values_are_not_kept(disabled):
    assert await disabled.set("user_stats:1", 1) is False
    assert await disabled.get("user_stats:1", "default") == "default"
    assert await disabled.get_many(["user_stats:1"]) == {"user_stats:1": MISSING}


async def test_what_only_redis_knows_cannot_be_asked(disabled):
    for question in (disabled.ping, disabled.report, disabled.server_report):
        with pytest.raises(CacheUnavailableError, match="REDIS_ENABLED"):
            await question()


async def test_the_health_page_says_so(disabled):
    stats = await disabled.stats()
    assert (stats["enabled"], stats["reachable"], stats["hits"], stats["types"]) == (False, False, 0, {})


async def test_the_environment_disables_the_default_cache(monkeypatch, proxy):
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{proxy.port}/0")
    monkeypatch.setenv("REDIS_ENABLED", "false")
    runs = []

    @cached(key_prefix="vocabulary")
    async def default_word(item: int) -> int:
        runs.append(item)
        return item

    before = set_default_cache(None)
    try:
        assert [await default_word(1), await default_word(1)] == [1, 1]
        assert await invalidate_cache("cache:*") == 0
        assert (await get_cache_stats())["enabled"] is False
        await close_redis_client()
    finally:
        set_default_cache(before)
    assert runs == [1, 1]
    assert proxy.connections == 0


async def test_the_same_cache_enabled_does_connect(open_cache, proxy):
    """Else the tests above could not fail."""
    cache: Cache = open_cache(f"redis://127.0.0.1:{proxy.port}/0")
    await Database(cache).read(1)
    assert proxy.connections == 1
