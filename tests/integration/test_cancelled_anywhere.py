"""Operations that are cancelled at any of their awaits leave nothing behind, and harm no other call."""

import asyncio
import gc
import random

import pytest

from tests.harness.polling import aeventually
from tests.harness.shared_redis import clients_of
from tests.integration.cache_support import Database, leftover_tasks
from tests.integration.cancelling import STEPS, cancel_after


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
    connections = clients_of(redis_server)
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
    await aeventually(lambda: clients_of(redis_server) == connections)  # the other cache's


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
