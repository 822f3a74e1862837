"""Look-ups of one turn of the event loop travel together, and everyone gets their own."""

import asyncio

import pytest

from langcache_cli.caching._errors import CacheUnavailableError, ServerReplyError
from langcache_cli.caching._wire.connection import encode_command
from langcache_cli.caching._wire.lookup_batch import KEYS_PER_LOOKUP, LookupBatch
from tests.harness.shared_redis import calls_of
from tests.integration.cache_support import Database, cache_at


@pytest.mark.parametrize(("keys", "requests"), [(1, 1), (100, 1), (KEYS_PER_LOOKUP + 1, 2)])
async def test_look_ups_of_one_turn_are_one_request(one_cache, one_redis, keys, requests):
    database = Database(one_cache)
    for item in range(keys):
        await database.read(item)
    before = calls_of(one_redis, "mget")
    values = await asyncio.gather(*(database.read(item) for item in range(keys) for _ in range(3)))
    assert values == [[item, 0] for item in range(keys) for _ in range(3)]
    assert calls_of(one_redis, "mget") - before == requests


async def test_tags_travel_with_the_look_up_of_their_entry(one_cache, one_redis):
    database = Database(one_cache, tags=("word:{item}", "all"))
    for item in range(10):
        await database.read(item)
    await database.read(0)  # the end of a row of misses, after which a call begins with its lease
    before = calls_of(one_redis, "mget")
    assert await asyncio.gather(*map(database.read, range(10))) == [[item, 0] for item in range(10)]
    assert calls_of(one_redis, "mget") - before == 1


async def test_a_cancelled_look_up_takes_nothing_from_the_others(cache):
    database = Database(cache)
    for item in range(20):
        await database.read(item)
    calls = [asyncio.create_task(database.read(item)) for item in range(20)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    values = await asyncio.gather(*calls, return_exceptions=True)
    assert values[1::2] == [[item, 0] for item in range(1, 20, 2)]
    assert all(isinstance(value, asyncio.CancelledError) for value in values[::2])
    assert sum(database.reads.values()) == 20


async def test_a_connection_that_ends_fails_every_look_up_of_the_turn(open_cache, own_redis):
    server = own_redis()
    cache = open_cache(server.url)
    await cache.ping()
    look_ups = [asyncio.create_task(cache.runtime().server.lookup((f"cache:{item}",))) for item in range(5)]
    await asyncio.sleep(0)
    cache.runtime().server.node.connection.abort()
    results = await asyncio.gather(*look_ups, return_exceptions=True)
    assert [type(result) for result in results] == [CacheUnavailableError] * 5


async def test_one_lost_connection_is_one_failure_however_many_requests_it_ends(open_cache, own_redis):
    cache = open_cache(own_redis().url)
    await cache.ping()
    server = cache.runtime().server
    requests = [asyncio.create_task(server.call("GET", "cache:1")) for _ in range(5)]
    await asyncio.sleep(0)
    server.node.connection.abort()
    assert len([await asyncio.gather(request, return_exceptions=True) for request in requests]) == 5
    assert not server.node.breaker.open
    assert await server.call("PING") == b"PONG"


async def test_what_comes_after_a_lookup_has_ended_goes_into_another():
    lookup = LookupBatch(asyncio.get_running_loop(), settle=lambda reply: reply)
    lookup.add(("a",))
    lookup.receive(OSError("its time was up"))
    assert lookup.full


async def test_a_lookup_asks_for_each_key_once_and_answers_in_the_order_of_its_callers():
    lookup = LookupBatch(asyncio.get_running_loop(), settle=lambda reply: reply)
    one, two, three = lookup.add(("a", "b")), lookup.add(("b", "c", "b")), lookup.add(("c",))
    assert lookup.count == 3
    assert lookup.encode() == encode_command(("MGET", "a", "b", "c"))
    lookup.receive([b"1", None, b"3"])
    assert (await one, await two, await three) == ([b"1", None], [None, b"3", None], b"3")


async def test_an_error_is_everyones_and_what_comes_after_it_nobodys():
    lookup = LookupBatch(asyncio.get_running_loop(), settle=lambda reply: reply)
    callers = [lookup.add(("a",)) for _ in range(2)]
    error = ServerReplyError("NOPERM no")
    lookup.receive(error)
    lookup.receive([b"late"])
    assert await asyncio.gather(*callers, return_exceptions=True) == [error, error]


async def test_a_key_of_another_kind_is_replaced(redis_server, redis_url):
    async with cache_at(redis_url) as cache:
        database = Database(cache)
        redis_server.command("SADD", database.read.key_for(1), "not ours")
        assert await database.read(1) == [1, 0]
        assert await database.read(1) == [1, 0]
        assert database.reads == {1: 1}


@pytest.mark.parametrize("reply", [b"OK", 1, [], [b"one", b"too many"], [5], None])
async def test_what_is_no_reply_to_a_look_up_ends_the_connection(one_cache, reply):
    await one_cache.ping()
    server = one_cache.runtime().server
    link, caller = server.node.connection._connection, server.try_lookup(("cache:a",))
    await asyncio.sleep(0)
    link._waiting[0](reply)
    with pytest.raises(CacheUnavailableError, match="not one to MGET"):
        await caller
    assert not link.alive


async def test_a_look_up_that_hangs_counts_as_one_failure_however_many_wait_for_it(open_cache, own_redis):
    redis = own_redis()
    cache = open_cache(redis.url, operation_timeout=1.0)
    await cache.ping()
    server = cache.runtime().server
    redis.pause()
    look_ups = [server.try_lookup((f"cache:{item}",)) for item in range(20)]
    results = await asyncio.gather(*look_ups, return_exceptions=True)
    redis.resume()
    assert {str(result) for result in results} == {str(results[0])}
    assert "did not answer in time" in str(results[0])
    assert not server.node.breaker.open


async def test_no_command_is_answered_at_once(cache):
    assert await cache.runtime().server.call_many([]) == []
