"""Look-ups of one turn of the event loop travel together, and everyone gets their own."""

import asyncio

import pytest

from langcache_cli.caching._errors import CacheUnavailableError, ServerReplyError
from langcache_cli.caching._link import Link, LinkLostError
from langcache_cli.caching._lookups import KEYS_PER_LOOKUP, Lookup
from tests.integration.cache_support import Database, cache_at


def calls_of(server, command: str) -> int:
    statistics = server.command("INFO", "commandstats").decode()
    for line in statistics.splitlines():
        if line.startswith(f"cmdstat_{command}:"):
            return int(line.partition("calls=")[2].partition(",")[0])
    return 0


@pytest.mark.parametrize(("keys", "requests"), [(1, 1), (100, 1), (KEYS_PER_LOOKUP + 1, 2)])
async def test_look_ups_of_one_turn_are_one_request(cache, redis_server, keys, requests):
    database = Database(cache)
    for item in range(keys):
        await database.read(item)
    before = calls_of(redis_server, "mget")
    values = await asyncio.gather(*(database.read(item) for item in range(keys) for _ in range(3)))
    assert values == [[item, 0] for item in range(keys) for _ in range(3)]
    assert calls_of(redis_server, "mget") - before == requests


async def test_tags_travel_with_the_look_up_of_their_entry(cache, redis_server):
    database = Database(cache, tags=("word:{item}", "all"))
    for item in range(10):
        await database.read(item)
    before = calls_of(redis_server, "mget")
    assert await asyncio.gather(*map(database.read, range(10))) == [[item, 0] for item in range(10)]
    assert calls_of(redis_server, "mget") - before == 1


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
    look_ups = [asyncio.create_task(cache.runtime().server.lookup([f"cache:{item}"])) for item in range(5)]
    await asyncio.sleep(0)
    cache.runtime().server._link.abort()
    results = await asyncio.gather(*look_ups, return_exceptions=True)
    assert [type(result) for result in results] == [CacheUnavailableError] * 5


async def test_a_lookup_asks_for_each_key_once_and_answers_in_the_order_of_its_callers():
    loop = asyncio.get_running_loop()
    one, two = loop.create_future(), loop.create_future()
    lookup = Lookup()
    lookup.add(("a", "b"), one)
    lookup.add(("b", "c", "b"), two)
    assert lookup.keys == ["a", "b", "c"]
    lookup.answer([b"1", None, b"3"])
    assert (await one, await two) == ([b"1", None], [None, b"3", None])


async def test_an_error_reply_is_everyones():
    loop = asyncio.get_running_loop()
    callers = [loop.create_future(), loop.create_future()]
    lookup = Lookup()
    for caller in callers:
        lookup.add(("a",), caller)
    error = ServerReplyError("NOPERM no")
    lookup.answer(error)
    assert [await caller for caller in callers] == [error, error]


async def test_a_key_of_another_kind_is_replaced(redis_server, redis_url):
    async with cache_at(redis_url) as cache:
        database = Database(cache)
        redis_server.command("SADD", database.read.key_for(1), "not ours")
        assert await database.read(1) == [1, 0]
        assert await database.read(1) == [1, 0]
        assert database.reads == {1: 1}


@pytest.mark.parametrize("reply", [b"OK", 1, [], [b"one", b"too many"], [5], None])
async def test_what_is_no_reply_to_a_look_up_ends_the_connection(reply):
    loop = asyncio.get_running_loop()
    link, caller = Link(), loop.create_future()
    lookup = Lookup()
    lookup.add(("a",), caller)
    link._answer(lookup, reply)
    with pytest.raises(LinkLostError, match="not a reply to MGET"):
        await caller
    assert not link.alive
