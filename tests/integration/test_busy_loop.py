"""An event loop that is busy with something else: how long a call waits for a Redis that does not answer."""

import asyncio
import contextlib
import time

from langcache_cli.caching._errors import CacheUnavailableError
from langcache_cli.caching._wire.lookup_batch import LookupBatch
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database

SLICE_SECONDS = 0.15
"""Of a slice, and of a budget: after 10 slices a call gives up, after 15 its budget is used up."""


@contextlib.asynccontextmanager
async def busy_in_slices(seconds: float = SLICE_SECONDS):
    """Meanwhile the loop comes round once in so many seconds."""

    async def keep_busy() -> None:
        while True:
            time.sleep(seconds)  # noqa: ASYNC251 - to the loop it is the same as computing
            await asyncio.sleep(0)

    working = asyncio.create_task(keep_busy())
    try:
        yield
    finally:
        working.cancel()
        await asyncio.wait([working])


async def test_a_call_gives_up_early_on_a_busy_loop_and_that_is_no_failure_of_redis(
    open_cache, own_redis, fault_proxy
):
    server = own_redis()
    proxy = fault_proxy(server.port)
    cache = open_cache(f"redis://127.0.0.1:{proxy.port}/0", operation_timeout=SLICE_SECONDS)
    database = Database(cache)
    assert await database.read(0) == [0, 0]
    breaker = cache.runtime().server.node.breaker
    proxy.swallow()
    async with busy_in_slices():
        assert await database.read(1) == [1, 0]
        assert breaker._failures == 0
        # the request that nobody waits for still shows that Redis is hung
        await aeventually(lambda: breaker._failures, within=60)
        item = 2
        while not breaker.open:
            assert await database.read(item) == [item, 0]
            item += 1
    assert set(database.reads.values()) == {1}


async def test_a_call_that_connects_on_a_busy_loop_gives_up_early_too(open_cache, own_redis, fault_proxy):
    server = own_redis()
    proxy = fault_proxy(server.port)
    cache = open_cache(f"redis://127.0.0.1:{proxy.port}/0", operation_timeout=SLICE_SECONDS)
    database, node = Database(cache), cache.runtime().server.node
    proxy.swallow()
    async with busy_in_slices():
        assert await database.read(1) == [1, 0]
        assert node.breaker._failures == 0
        assert node.connector.connecting
        # the attempt that nobody waits for still shows that Redis is hung
        await aeventually(lambda: node.breaker._failures, within=60)
        assert not node.connector.connecting
    assert database.reads == {1: 1}


async def test_a_connection_that_comes_late_on_a_busy_loop_is_used(open_cache):
    database = Database(cache := open_cache(operation_timeout=0.25))
    # connecting takes some twenty turns of the loop behind Sentinel: four times the budget, and not yet ten
    async with busy_in_slices(0.05):
        for item in (1, 1):
            assert await database.read(item) == [item, 0]
    assert database.reads == {1: 1}
    assert not cache.runtime().server.is_failing


async def test_a_busy_loop_costs_no_hit_while_redis_answers(open_cache):
    database = Database(open_cache(operation_timeout=0.25))
    await database.read(1)
    async with busy_in_slices():
        for _ in range(5):
            assert await database.read(1) == [1, 0]
    assert database.reads == {1: 1}
    assert database.cache.statistics_of(database.read)["bypassed"] == 0


async def test_callers_that_gave_up_get_no_reply_and_the_reply_still_counts():
    settled = []
    batch = LookupBatch(asyncio.get_running_loop(), lambda reply: settled.append(reply) or reply)
    callers = [batch.add(("a",)), batch.add(("b", "c"))]
    batch.give_up(CacheUnavailableError("busy", target="Redis"))
    assert [type(caller.exception()) for caller in callers] == [CacheUnavailableError] * 2
    assert batch.full
    batch.receive([b"1", b"2", b"3"])
    batch.receive([b"1", b"2", b"3"])
    assert settled == [[b"1", b"2", b"3"]]
