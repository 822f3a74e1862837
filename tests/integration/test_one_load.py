"""A cold key is loaded once per process, whoever asks and however it ends."""

import asyncio
from contextvars import ContextVar

import pytest

from langcache_cli.caching import CacheUnavailableError
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, Gate, waiting

who: ContextVar[str] = ContextVar("who", default="nobody")


async def call_many(read, count, item=1):
    return [asyncio.create_task(read(item)) for _ in range(count)]


async def joined(database, count):
    """Until `count` calls wait for a load that another one began."""
    await aeventually(lambda: waiting(database.cache) == count, every=0.001, within=60)


async def test_fifty_callers_of_a_cold_key_share_one_load(cache):
    database = Database(cache, held=True)
    calls = await call_many(database.read, 50)
    await joined(database, 50)
    database.gate.open()
    assert await asyncio.gather(*calls) == [[1, 0]] * 50
    assert database.reads == {1: 1}
    assert await database.read(1) == [1, 0]
    assert database.reads == {1: 1}


async def test_different_keys_are_loaded_at_the_same_time(cache):
    database = Database(cache, held=True)
    calls = [asyncio.create_task(database.read(item)) for item in range(50)]
    await database.gate.reached(50)
    database.gate.open()
    assert await asyncio.gather(*calls) == [[item, 0] for item in range(50)]


async def test_what_one_caller_does_to_its_value_does_not_show_in_anothers(cache):
    database = Database(cache, held=True)
    calls = await call_many(database.read, 5)
    await joined(database, 5)
    database.gate.open()
    first = await calls[0]
    first.append("mine")
    assert await asyncio.gather(*calls[1:]) == [[1, 0]] * 4
    values = [first, *[call.result() for call in calls[1:]]]
    assert len({id(value) for value in values}) == 5
    (await database.read(1)).append("mine")
    assert await database.read(1) == [1, 0]


async def test_an_exception_reaches_every_waiter_and_the_next_call_tries_again(cache):
    database = Database(cache, held=True)
    database.error = LookupError("no such word")
    calls = await call_many(database.read, 10)
    await joined(database, 10)
    database.gate.open()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert list(map(repr, results)) == [repr(database.error)] * 10
    assert len(set(map(id, results))) == 10
    assert database.reads == {1: 1}
    database.error = None
    assert await database.read(1) == [1, 0]
    assert database.reads == {1: 2}


async def test_a_key_whose_load_failed_is_free_again_at_once(cache, redis_server):
    database = Database(cache)
    database.error = LookupError("no such word")
    with pytest.raises(LookupError):
        await database.read(1)
    await aeventually(lambda: redis_server.command("EXISTS", database.read.key_for(1)) == 0)


async def test_the_load_sees_the_context_variables_of_the_first_caller(cache):
    gate = Gate()

    @cache.cached(key_prefix="vocabulary")
    async def whose(item: int) -> str:
        await gate()
        return who.get()

    async def call(name):
        who.set(name)
        return await whose(1)

    first = asyncio.create_task(call("first"))
    await gate.reached()
    second = asyncio.create_task(call("second"))
    await aeventually(lambda: waiting(cache) == 2, every=0.001)
    gate.open()
    assert await asyncio.gather(first, second) == ["first", "first"]


async def test_a_call_that_joins_a_load_without_a_storable_value_runs_the_function_and_is_not_joined(cache):
    gate, runs = Gate(), 0

    @cache.cached(key_prefix="vocabulary")
    async def read(item: int) -> int:
        nonlocal runs
        runs += 1
        await gate()
        return "not an int"  # never stored

    calls = [asyncio.create_task(read(1)) for _ in range(3)]
    await gate.reached(1)
    await aeventually(lambda: waiting(cache) == 3)
    gate.open()
    assert await asyncio.gather(*calls) == ["not an int"] * 3
    numbers = cache.statistics_of(read)
    assert (runs, numbers["misses"], numbers["joined"]) == (3, 3, 0)


@pytest.mark.parametrize("how", ["function", "pattern", "type", "bare"])
async def test_a_call_that_begins_after_an_invalidation_never_joins_a_load_begun_before(
    cache, redis_server, how
):
    database = Database(cache, held=True)
    before = asyncio.create_task(database.read(1))
    await database.gate.reached(1)
    database.versions[1] = 1
    match how:
        case "function":
            assert await database.read.invalidate(1)
        case "pattern":
            assert await cache.invalidate("cache:*read*") == 1
        case "type":
            assert await cache.invalidate_type("vocabulary") == 1
        case "bare":
            assert redis_server.command("DEL", database.read.key_for(1)) == 1
    after = asyncio.create_task(database.read(1))
    await database.gate.reached(2)
    late = asyncio.create_task(database.read(1))
    await joined(database, 2)
    database.gate.open()
    assert await after == [1, 1]
    assert await late == [1, 1]
    assert await before == [1, 1]  # refused, so it is given what the next calls will be given
    assert database.reads == {1: 2}
    assert await database.read(1) == [1, 1]


async def test_callers_join_a_refresh_of_a_key_that_held_nothing(cache):
    database = Database(cache, held=True)
    refresh = asyncio.create_task(database.read.refresh(1))
    await database.gate.reached(1)
    calls = await call_many(database.read, 5)
    await joined(database, 6)
    database.gate.open()
    assert await refresh == [1, 0]
    assert await asyncio.gather(*calls) == [[1, 0]] * 5
    assert database.reads == {1: 1}


async def test_the_old_entry_is_served_while_it_is_refreshed(cache):
    database = Database(cache)
    assert await database.read(1) == [1, 0]
    database.gate.shut()
    database.versions[1] = 1
    refresh = asyncio.create_task(database.read.refresh(1))
    await database.gate.reached(2)
    assert await database.read(1) == [1, 0]
    database.gate.open()
    assert await refresh == [1, 1]
    assert await database.read(1) == [1, 1]


async def test_the_old_entry_stays_when_its_refresh_fails(cache):
    database = Database(cache)
    assert await database.read(1) == [1, 0]
    database.error = LookupError("no such word")
    with pytest.raises(LookupError):
        await database.read.refresh(1)
    database.error = None
    assert await database.read(1) == [1, 0]
    assert database.reads == {1: 2}


async def test_a_value_that_cannot_be_cached_is_loaded_by_every_caller_for_itself(cache, redis_server):
    gate, runs = Gate(), []

    @cache.cached(key_prefix="vocabulary")
    async def odd(item: int):
        runs.append(item)
        await gate()
        return {item}

    calls = [asyncio.create_task(odd(1)) for _ in range(3)]
    await aeventually(lambda: waiting(cache) == 3, every=0.001)
    gate.open()
    assert await asyncio.gather(*calls) == [{1}] * 3
    assert runs == [1] * 3
    await aeventually(lambda: redis_server.command("EXISTS", odd.key_for(1)) == 0)


async def test_a_caller_that_joined_a_refresh_gets_its_value_when_redis_dies_meanwhile(open_cache, own_redis):
    server = own_redis()
    cache = open_cache(server.url)
    database = Database(cache, held=True)
    refresh = asyncio.create_task(database.read.refresh(1))
    await database.gate.reached()
    call = asyncio.create_task(database.read(1))
    await joined(database, 2)
    server.kill()
    database.gate.open()
    with pytest.raises(CacheUnavailableError):
        await refresh
    assert await call == [1, 0]
    assert database.reads[1] <= 2
