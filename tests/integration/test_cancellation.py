"""Cancelling a call is safe for itself, for those who wait with it, for those to come."""

import asyncio

import pytest

from tests.harness.polling import aeventually
from tests.harness.shared_redis import clients_of
from tests.integration.cache_support import Database, Gate, leftover_tasks, waiting
from tests.integration.cancelling import STEPS, cancel_after


async def waiters(database, count, item=1):
    calls = [asyncio.create_task(database.read(item)) for _ in range(count)]
    await aeventually(lambda: waiting(database.cache) == count, every=0.001)
    return calls


async def cancelled(*calls):
    for call in calls:
        call.cancel()
    done = await asyncio.gather(*calls, return_exceptions=True)
    return all(isinstance(result, asyncio.CancelledError) for result in done)


# -- who is cancelled --


@pytest.mark.parametrize("chosen", [0, 1, 4], ids=["the first", "one in the middle", "the last"])
async def test_cancelling_one_of_five_waiters_harms_no_other(cache, chosen):
    database = Database(cache, held=True)
    calls = await waiters(database, 5)
    await database.gate.reached()
    assert await cancelled(calls.pop(chosen))
    database.gate.open()
    assert await asyncio.gather(*calls) == [[1, 0]] * 4
    runs = 1 if chosen else 2  # the function runs in the task of the first
    assert database.reads == {1: runs}
    assert await database.read(1) == [1, 0]
    assert database.reads == {1: runs}


async def test_cancelling_all_waiters_ends_the_load_and_frees_the_key(cache, redis_server):
    database = Database(cache, held=True)
    calls = await waiters(database, 5)
    assert await cancelled(*calls)
    await aeventually(lambda: leftover_tasks() == [])
    assert redis_server.command("EXISTS", database.read.key_for(1)) == 0
    database.gate.open()
    assert await database.read(1) == [1, 0]


async def test_a_function_that_cleans_up_when_cancelled_has_done_so_when_its_caller_goes_on(cache):
    cleaned = []
    database = Database(cache, held=True)

    @cache.cached(key_prefix="vocabulary")
    async def careful(item: int) -> int:
        try:
            await database.gate()
        finally:
            await asyncio.sleep(0)
            cleaned.append(item)
        return item

    call = asyncio.create_task(careful(1))
    await database.gate.reached()
    assert await cancelled(call)
    assert cleaned == [1]


async def test_a_call_that_finds_a_load_being_cancelled_is_not_cancelled_with_it(cache):
    database, cleanup, ending = Database(cache, held=True), asyncio.Event(), asyncio.Event()
    runs = []

    @cache.cached(key_prefix="vocabulary")
    async def slow_to_end(item: int) -> int:
        runs.append(item)
        try:
            await database.gate()
        except asyncio.CancelledError:
            ending.set()
            await cleanup.wait()
            raise
        return item

    first = asyncio.create_task(slow_to_end(1))
    await database.gate.reached()
    first.cancel()
    await ending.wait()
    second = asyncio.create_task(slow_to_end(1))
    await aeventually(lambda: waiting(cache) == 2, every=0.001)
    database.gate.open()
    cleanup.set()
    assert await second == 1
    with pytest.raises(asyncio.CancelledError):
        await first
    assert runs == [1, 1]


async def test_a_function_that_cancels_itself_cancels_its_caller_and_not_those_who_joined(cache):
    gate, runs = Gate(), []

    @cache.cached(key_prefix="vocabulary")
    async def once_cancelled(item: int) -> int:
        runs.append(item)
        if len(runs) == 1:
            await gate()
            raise asyncio.CancelledError
        return item

    first, *others = [asyncio.create_task(once_cancelled(1)) for _ in range(3)]
    await aeventually(lambda: waiting(cache) == 3, every=0.001)
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await asyncio.gather(*others) == [1, 1]
    assert runs == [1, 1]


async def test_those_who_joined_a_load_whose_first_caller_left_load_for_themselves_when_it_fails(cache):
    database = Database(cache, held=True)
    first, second = await waiters(database, 2)
    await database.gate.reached()
    assert await cancelled(first)
    database.error = LookupError("its session was closed")
    database.gate.open()
    with pytest.raises(LookupError) as failure:
        await second
    assert database.reads == {1: 2}
    assert failure.value.__context__ is None


async def test_a_timeout_around_a_call_works(cache):
    database = Database(cache, held=True)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await database.read(1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(database.read(1), 0.05)
    database.gate.open()
    async with asyncio.timeout(20):
        assert await database.read(1) == [1, 0]


async def test_a_task_group_cancels_its_calls_when_one_of_them_fails(cache):
    database, other = Database(cache, held=True), Database(cache, prefix="episodes")
    other.error = LookupError("no such episode")

    async def one_fails():
        async with asyncio.TaskGroup() as group:
            for item in range(5):
                group.create_task(database.read(item))
            await database.gate.reached(5)
            group.create_task(other.read(1))

    with pytest.raises(ExceptionGroup):
        await one_fails()
    database.gate.open()
    assert await database.read(1) == [1, 0]


# -- refreshes and statistics --


async def test_cancelling_a_refresh_keeps_the_old_entry(cache):
    database = Database(cache)
    await database.read(1)
    database.gate.shut()
    refresh = asyncio.create_task(database.read.refresh(1))
    await database.gate.reached(2)
    assert await cancelled(refresh)
    assert await database.read(1) == [1, 0]


async def test_a_call_under_way_while_its_cache_is_closed_gets_its_value(cache, redis_server):
    database = Database(cache, held=True)
    call = asyncio.create_task(database.read(1))
    await database.gate.reached()
    await cache.aclose()
    database.gate.open()
    assert await call == [1, 0]
    await aeventually(lambda: clients_of(redis_server) == 0)


async def test_a_call_that_connects_while_its_cache_is_closed_gets_its_value(
    open_cache, fault_proxy, one_redis
):
    proxy = fault_proxy(one_redis.port)
    proxy.swallow()
    cache = open_cache(f"redis://127.0.0.1:{proxy.port}/0")
    database = Database(cache)
    call = asyncio.create_task(database.read(1))
    await aeventually(lambda: proxy.connections == 1)
    await cache.aclose()
    assert await call == [1, 0]


async def test_closing_that_is_cancelled_closes_the_connections_all_the_same(open_cache, redis_server):
    for steps in range(1, STEPS):
        cache = open_cache()
        database = Database(cache)
        await database.read(1)
        if await cancel_after(cache.aclose(), steps):
            break
        await aeventually(lambda: clients_of(redis_server) == 0)
    assert steps > 2


async def test_an_attempt_to_connect_that_is_cancelled_before_it_begins_is_followed_by_another(
    open_cache, own_redis
):
    """As code does that cancels all tasks and goes on."""
    cache = open_cache(own_redis().url)
    database = Database(cache)
    call = asyncio.create_task(database.read(1))
    await asyncio.sleep(0)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.gather(call, return_exceptions=True)

    async def is_hit():
        before = cache.statistics_of(database.read)["hits"]
        await database.read(1)
        return cache.statistics_of(database.read)["hits"] > before

    await aeventually(is_hit)
