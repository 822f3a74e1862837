"""The plain calls get, set, delete, get_many and set_many, and what they do without Redis."""

import asyncio

import pytest

from langcache_cli.caching import MISSING, UncacheableValueError
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database

VALUES = {
    "user_stats:none": None,
    "user_stats:true": True,
    "user_stats:int": 2**70,
    "user_stats:float": 1.5,
    "user_stats:text": "a\nb\0ü字",
    "user_stats:list": [1, [2, {"three": None}]],
    "user_stats:dict": {"a": {"b": []}},
    "user_stats:empty": "",
}


async def test_what_was_set_is_what_is_got(cache):
    for key, value in VALUES.items():
        assert await cache.get(key, MISSING) is MISSING
        assert await cache.set(key, value)
        got = await cache.get(key, MISSING)
        assert (got, type(got)) == (value, type(value))


async def test_many_are_set_and_got_in_one_round_trip_each(open_cache, fault_proxy, one_redis):
    proxy = fault_proxy(one_redis.port)
    proxy.delay(0.05)  # 0.1 s a round trip
    cache = open_cache(f"redis://127.0.0.1:{proxy.port}/0", operation_timeout=20)
    await cache.ping()
    clock = asyncio.get_running_loop().time
    started = clock()
    assert await cache.set_many(VALUES)
    assert await cache.get_many([*VALUES, "user_stats:nobody"]) == {**VALUES, "user_stats:nobody": MISSING}
    assert clock() - started < 0.1 * len(VALUES)


async def test_none_is_a_value_and_a_miss_is_the_default(cache):
    await cache.set("user_stats:1", None)
    assert await cache.get("user_stats:1", "default") is None
    assert await cache.get("user_stats:2", "default") == "default"
    assert await cache.get("user_stats:2") is None


async def test_nothing_to_do_needs_no_server(open_cache):
    cache = open_cache("redis://127.0.0.1:1/0")
    assert await cache.get_many([]) == {}
    assert await cache.set_many({})
    assert await cache.delete() == 0


async def test_a_value_lives_as_long_as_its_type_unless_told_otherwise(cache, redis_server):
    await cache.set("user_stats:1", 1)
    await cache.set("translation:1", 1)
    await cache.set("quiz:1", 1, ttl=7)
    ttls = [
        redis_server.command("TTL", f"cache:{key}") for key in ("user_stats:1", "translation:1", "quiz:1")
    ]
    assert [abs(left - wanted) <= 2 for left, wanted in zip(ttls, (300, 86400, 7), strict=True)] == [True] * 3


async def test_a_value_ends_with_its_time(cache):
    await cache.set("user_stats:1", 1, ttl=0.05)
    await aeventually(lambda: _is_missing(cache, "user_stats:1"))


async def _is_missing(cache, key):
    return await cache.get(key, MISSING) is MISSING


async def test_deleting_says_how_many_there_were(cache):
    await cache.set_many({"user_stats:1": 1, "user_stats:2": 2})
    assert await cache.delete("user_stats:1", "user_stats:2", "user_stats:3") == 2
    assert await cache.delete("user_stats:1") == 0
    assert await cache.get("user_stats:1", MISSING) is MISSING


async def test_values_belong_to_their_type(cache):
    await cache.set_many({"user_stats:1": 1, "translation:1": 1})
    assert await cache.invalidate_type("progress") == 1
    assert await cache.get("translation:1") == 1


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, b"bytes", (1,), {1: 2}, [{1}]],
    ids=["object", "set", "bytes", "tuple", "number as key", "set inside"],
)
async def test_what_is_not_plain_json_is_refused_and_nothing_is_stored(cache, redis_server, value):
    with pytest.raises(UncacheableValueError):
        await cache.set_many({"user_stats:1": 1, "user_stats:2": value})
    assert redis_server.command("DBSIZE") == 0


@pytest.mark.parametrize("data", [b"", b"42", b"\xff", b'{"a": 1}', b"lc1 entry id=0123456789abcdef"])
async def test_foreign_data_is_a_miss(cache, redis_server, data):
    redis_server.command("SET", "cache:user_stats:1", data)
    assert await cache.get("user_stats:1", MISSING) is MISSING


async def test_a_key_of_another_type_is_a_miss(cache, redis_server):
    redis_server.command("RPUSH", "cache:user_stats:1", "x")
    await cache.set("user_stats:2", 2)
    assert await cache.get_many(["user_stats:1", "user_stats:2"]) == {
        "user_stats:1": MISSING,
        "user_stats:2": 2,
    }


async def test_the_entry_of_a_function_and_its_placeholder_are_no_plain_values(cache):
    database = Database(cache, held=True)
    call = asyncio.create_task(database.read(1))
    await database.gate.reached()
    key = database.read.key_for(1).removeprefix("cache:")
    assert await cache.get(key, MISSING) is MISSING
    database.gate.open()
    await call
    assert await cache.get(key, MISSING) is MISSING


async def test_setting_a_value_ends_the_right_of_a_load_to_store_its_own(cache):
    database = Database(cache, held=True)
    call = asyncio.create_task(database.read(1))
    await database.gate.reached()
    key = database.read.key_for(1).removeprefix("cache:")
    assert await cache.set(key, "mine")
    database.gate.open()
    assert await call == [1, 0]
    assert await cache.get(key) == "mine"


async def test_without_redis_reading_finds_nothing_and_writing_says_so(open_cache, own_redis):
    server = own_redis()
    cache = open_cache(server.url)
    await cache.set("user_stats:1", 1)
    server.kill()
    assert await cache.get("user_stats:1", "default") == "default"
    assert await cache.set("user_stats:1", 2) is False
    assert await cache.delete("user_stats:1") == 0
    assert cache.pending_invalidations == 1


async def test_out_of_memory_writing_says_so_and_reading_goes_on(open_cache, own_redis):
    server = own_redis()
    cache = open_cache(server.url)
    await cache.set("user_stats:1", 1)
    server.command("CONFIG", "SET", "maxmemory", "1")
    assert await cache.set_many({"user_stats:2": 2, "user_stats:3": 3}) is False
    assert await cache.get("user_stats:1") == 1


async def test_long_keys_are_kept_apart(cache):
    keys = [f"user_stats:{'x' * 300}{number}" for number in range(5)]
    await cache.set_many({key: number for number, key in enumerate(keys)})
    assert list((await cache.get_many(keys)).values()) == list(range(5))


@pytest.mark.parametrize("ttl", [0, -1, float("nan")])
async def test_a_ttl_that_is_no_time_is_refused(cache, ttl):
    with pytest.raises(ValueError, match="ttl must be more than 0 seconds"):
        await cache.set("greeting:de", 1, ttl=ttl)


async def test_a_key_that_is_only_a_prefix_belongs_to_its_cache_type(cache):
    for key in ("episodes", "episodes:1", "episodes_old", "vocabulary"):
        assert await cache.set(key, 1)
    assert await cache.invalidate_type("video") == 2
    assert await cache.get_many(["episodes_old", "vocabulary"]) == {"episodes_old": 1, "vocabulary": 1}
