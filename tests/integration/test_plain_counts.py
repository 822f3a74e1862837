"""What plain keys are asked for is counted by cache type, as calls of functions are."""

from langcache_cli.caching._statistics.labels import PLAIN, plain_keys_of

PROGRESS, TRANSLATION = plain_keys_of("progress"), plain_keys_of("translation")


def counted(cache):
    return cache.runtime().statistics.since_start()


async def test_hits_misses_and_bytes_are_counted_by_type(cache):
    assert await cache.set_many({"user_stats:1": [1], "user_stats:2": [2], "translation:1": "eins"})
    await cache.get("user_stats:1")
    await cache.get_many(["user_stats:2", "user_stats:3", "translation:1", "user_stats:3"])
    assert counted(cache) == {
        PROGRESS: {"hits": 2, "misses": 1, "bytes_read": 6, "bytes_written": 6},
        TRANSLATION: {"hits": 1, "bytes_read": 6, "bytes_written": 6},
    }


async def test_they_are_in_the_numbers_of_the_type(cache):
    await cache.set("user_stats:1", 1)
    await cache.get_many(["user_stats:1", "user_stats:2", "user_stats:3", "user_stats:4"])
    stats = await cache.stats()
    assert (stats["hits"], stats["misses"], stats["types"]["progress"]["hit_rate"]) == (1, 3, 0.25)


async def test_data_that_cannot_be_used_is_a_miss_with_its_cause(open_cache, redis_server, redis_url):
    cache = open_cache(redis_url, max_decompressed_bytes=1024 * 1024)
    redis_server.command("SET", "cache:user_stats:1", b"foreign")
    async with open_cache(redis_url) as other:
        await other.set("user_stats:2", "x" * 2_000_000)
    await cache.get_many(["user_stats:1", "user_stats:2"])
    assert counted(cache)[PROGRESS] == {"misses": 2, "undecodable": 1, "oversized": 1}


async def test_without_redis_reads_are_bypassed_and_writes_unstored(open_cache):
    cache = open_cache("redis://127.0.0.1:1/0")
    await cache.get_many(["user_stats:1", "user_stats:2"])
    await cache.set("user_stats:1", 1)
    assert counted(cache)[PROGRESS] == {"bypassed": 2, "unstored": 1}


async def test_what_redis_does_not_take_is_unstored(open_cache, own_redis):
    server = own_redis()
    cache = open_cache(server.url)
    await cache.ping()
    server.command("CONFIG", "SET", "maxmemory", "1")
    await cache.set_many({"user_stats:2": 2, "user_stats:3": 3})
    assert counted(cache)[PROGRESS] == {"unstored": 2}


async def test_event_hooks_get_the_keys(cache):
    told = []
    cache.events.subscribe(lambda event: told.append((event.name, event.key)))
    await cache.set("user_stats:1", 1)
    await cache.get_many(["user_stats:1", "user_stats:2"])
    key = "cache:user_stats:1"
    assert {("bytes_written", key), ("hits", key), ("misses", "cache:user_stats:2")} <= set(told)


async def test_what_users_write_in_keys_becomes_no_type(cache):
    await cache.get_many(["word", "$(reboot):1", "alice@example.com:1", "user-1:name", ":x", "@:x"])
    assert counted(cache) == {PLAIN: {"misses": 6}}


async def test_keys_that_are_asked_for_most_are_hot_whether_they_are_there_or_not(cache, monkeypatch):
    passed = []
    monkeypatch.setattr(cache.runtime().fleet.hot_keys.sampler, "pass_by", passed.extend)
    await cache.set("user_stats:1", 1)
    await cache.get_many(["user_stats:1", "user_stats:2"])
    assert sorted(passed) == ["cache:user_stats:1", "cache:user_stats:2"]
