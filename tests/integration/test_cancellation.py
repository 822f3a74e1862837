"""Cancelling a call is safe at any moment: for itself, for those who wait with it, for those to come."""

import asyncio
import gc
import random

import pytest

from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, Gate, clients_of, leftover_tasks, waiting

STEPS = 40  # more loop iterations than any operation takes that need not connect


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
    await aeventually(lambda: leftover_tasks() == [], within=1.5)
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


# -- at every await --


async def start(database, what):
    """Bring the key into the state that `what` begins with; return the call to cancel, not started."""
    read = database.read
    match what:
        case "hit":
            await read(1)
            return read(1)
        case "miss":
            await read.invalidate(1)
            return read(1)
        case "miss beside another load":
            await read.invalidate(1)
            database.gate.shut()
            load = asyncio.create_task(read(1))
            await database.gate.reached(database.gate.arrived + 1)
            asyncio.get_running_loop().call_soon(_open_later, database, load)
            return read(1)
        case "refresh":
            await read(1)
            return read.refresh(1)
        case "refresh of nothing":
            await read.invalidate(1)
            return read.refresh(1)
        case "invalidate":
            await read(1)
            return read.invalidate(1)
    raise ValueError(what)


def _open_later(database, load, steps=STEPS // 2):
    if steps:
        asyncio.get_running_loop().call_soon(_open_later, database, load, steps - 1)
    else:
        database.gate.open()


async def cancel_after(coroutine, steps, *, times=1):
    """Run a task for so many iterations of the loop, then cancel it; say whether it had ended before."""
    task = asyncio.create_task(coroutine)
    for _ in range(steps):
        await asyncio.sleep(0)
        if task.done():
            await task
            return True
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()  # the cancellation came too late for it; an exception would be a bug
    return False


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
@pytest.mark.parametrize("tags", [(), ("item:{item}", "items")], ids=["plain", "tagged"])
@pytest.mark.parametrize(
    "what", ["hit", "miss", "miss beside another load", "refresh", "refresh of nothing", "invalidate"]
)
async def test_an_operation_cancelled_at_any_await_leaves_nothing_behind(
    open_cache, redis_server, what, tags, times
):
    # Only a claim that was cancelled cannot be given back: it may have been that of an entry.
    cache = open_cache(lease_seconds=0.1 if what == "refresh of nothing" else 60.0)
    database = Database(cache, tags=tags)
    key = database.read.key_for(1)
    await database.read(1)
    for steps in range(STEPS):
        ended = await cancel_after(await start(database, what), steps, times=times)
        database.gate.open()
        await aeventually(lambda: leftover_tasks() == [], every=0.001)
        await aeventually(lambda: not (redis_server.command("GET", key) or b"").startswith(b"lc1 lease"))
        assert await database.read(1) == [1, 0]
        if ended and what != "miss beside another load":
            break
    assert steps > 2
    gc.collect()


@pytest.mark.parametrize("what", ["miss", "refresh of nothing", "invalidate"])
async def test_an_operation_cancelled_while_it_connects_leaves_nothing_behind(open_cache, redis_server, what):
    other = Database(open_cache())
    await other.read(1)
    for steps in range(STEPS):
        database = Database(open_cache())
        match what:
            case "miss":
                operation = database.read(2)
            case "refresh of nothing":
                operation = database.read.refresh(2)
            case "invalidate":
                operation = database.read.invalidate(1)
        ended = await cancel_after(operation, steps)
        await aeventually(lambda: leftover_tasks() == [], every=0.001)
        assert await database.read(1) == [1, 0]
        await database.cache.aclose()
        if ended:
            break
    assert steps > 5
    await aeventually(lambda: clients_of(redis_server) == 1)  # the other cache's


async def test_no_caller_ever_gets_another_keys_value_however_many_are_cancelled(cache):
    random_numbers = random.Random(7)
    database = Database(cache)
    wrong = []

    async def caller(seed):
        numbers = random.Random(seed)
        for _ in range(40):
            item = numbers.randrange(200)
            action = numbers.random()
            try:
                if action < 0.1:
                    await database.read.invalidate(item)
                elif action < 0.3:
                    async with asyncio.timeout(numbers.random() * 0.02):
                        value = await database.read(item)
                        wrong.extend([] if value[0] == item else [(item, value)])
                else:
                    value = await database.read(item)
                    wrong.extend([] if value[0] == item else [(item, value)])
            except TimeoutError:
                continue

    tasks = [asyncio.create_task(caller(seed)) for seed in range(100)]
    for task in random_numbers.sample(tasks, 40):
        await asyncio.sleep(0.003)  # the cancellations are spread over all steps of the loads
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [r for r in results if r is not None and not isinstance(r, asyncio.CancelledError)] == []
    assert wrong == []
    assert await asyncio.gather(*map(database.read, range(200))) == [[item, 0] for item in range(200)]


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
    open_cache, fault_proxy, redis_url, redis_server
):
    proxy = fault_proxy(redis_server.port)
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
