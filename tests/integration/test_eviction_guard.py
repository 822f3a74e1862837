"""In a full Redis, counters of past hours stay as long as there are entries that were last used earlier."""

import pytest

from langcache_cli.caching._statistics.fleet.eviction_guard import HASHES_PER_TURN
from langcache_cli.caching._statistics.fleet.tiers import TIERS, stats_key, stats_stem
from langcache_cli.caching._wire.budget import Budget
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database

HOUR, DAY = 3600, 86400
ENTRY = b"x" * 10_000


def hashes(cache):
    """All hashes of counters that there may be, but for the current ones, with the time they are kept."""
    now = cache.runtime().now_ms() // 1000
    return {
        stats_key(stats_stem("cache"), 0, tier, start): tier.left_seconds(start, now)
        for tier in TIERS
        for start in list(tier.starts(tier.kept_seconds - tier.seconds, now))[:-1]
    }


def put(connection, keys, *, idle_seconds):
    """Store entries, or hashes that end some time, that were last used so long ago."""
    for key, seconds in keys.items():
        connection.call("HSET" if seconds else "SET", "new", *(("abcdeH", "1") if seconds else (ENTRY,)))
        data = connection.call("DUMP", "new")
        connection.call("RESTORE", key, seconds * 1000, data, "REPLACE", "IDLETIME", idle_seconds)
        connection.call("UNLINK", "new")


async def use_all(cache, amount):
    for _ in range(amount // HASHES_PER_TURN + 1):
        await cache.runtime().fleet.eviction_guard.use_some(1, Budget(5))


@pytest.mark.parametrize("is_guarded", [True, False])
async def test_entries_that_were_not_used_for_longer_are_evicted_first(open_cache, own_redis, is_guarded):
    server = own_redis()
    server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    cache = open_cache(server.url)
    kept = hashes(cache)
    with server.connect() as connection:
        put(connection, kept, idle_seconds=DAY)
        put(connection, {f"cache:vocabulary:{number}": 0 for number in range(500)}, idle_seconds=HOUR)
        if is_guarded:
            await use_all(cache, len(kept))
        used = int(connection.call("INFO", "memory").partition(b"used_memory:")[2].partition(b"\r")[0])
        connection.call("CONFIG", "SET", "maxmemory-samples", 64)  # with 5 it may see no entry at all
        connection.call("CONFIG", "SET", "maxmemory", used)
        for number in range(500, 700):
            connection.call("SET", f"cache:vocabulary:{number}", ENTRY)
        assert connection.call("DBSIZE") < len(kept) + 550
        left = connection.call("EXISTS", *kept)
    assert left == len(kept) if is_guarded else left < len(kept) / 2


async def test_each_hash_is_used_and_lives_no_longer_for_that(cache, one_redis):
    kept = hashes(cache)
    with one_redis.connect() as connection:
        put(connection, kept, idle_seconds=DAY)
        await use_all(cache, len(kept))
        assert max(connection.call("OBJECT", "IDLETIME", key) for key in kept) < DAY
        left = {key: connection.call("TTL", key) for key in kept}
    assert all(left[key] <= seconds for key, seconds in kept.items())


async def test_a_process_that_counts_uses_them(open_cache, one_redis):
    cache = open_cache(one_redis.url, stats_flush_seconds=0.05)
    words = Database(cache)
    key = next(iter(hashes(cache)))

    async def is_used():
        await words.read(1)
        return one_redis.command("OBJECT", "IDLETIME", key) < DAY

    with one_redis.connect() as connection:
        put(connection, {key: DAY}, idle_seconds=DAY)
    await aeventually(is_used)
