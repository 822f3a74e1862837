"""Closing a cache while calls go on: each ends, and the runtime that a call makes meanwhile is left alone."""

import asyncio
import threading

from langcache_cli.caching._runtime.loop_end import LoopEnd
from tests.integration.cache_support import cache_at, leftover_tasks
from tests.integration.sync_support import sync_cache


async def test_it_closes_only_what_there_was(redis_url):
    cache = cache_at(redis_url)

    @cache.cached(key_prefix="words")
    async def get(item: int) -> str:
        return "value"

    async def call() -> None:
        while not closed.is_set():
            assert await get(1) == "value"

    closed = asyncio.Event()
    calls = [asyncio.create_task(call()) for _ in range(2)]
    for _ in range(5):
        await asyncio.sleep(0.01)
        first = cache.runtime()
        await asyncio.wait_for(cache.aclose(), 30)
        assert cache.runtime() is not first
    closed.set()
    await asyncio.wait_for(asyncio.gather(*calls), 30)
    await cache.aclose()


async def test_it_ends_what_is_begun_while_it_closes(redis_url):
    cache = cache_at(redis_url)
    runtime = cache.runtime()

    async def begin_another(times: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:  # as the end of an outage begins to write an event
            if times:
                runtime.spawn(begin_another(times - 1))

    runtime.spawn(begin_another(3))
    await asyncio.sleep(0)
    await cache.aclose()
    assert leftover_tasks(is_closed=True) == []


def test_it_closes_only_what_there_was_for_threads(redis_url):
    with sync_cache(redis_url) as cache:

        @cache.cached(key_prefix="words")
        def get(item: int) -> str:
            return "value"

        def call() -> None:
            while not closed.is_set():
                values.add(get(1))

        values, closed = set[str](), threading.Event()
        calls = [threading.Thread(target=call) for _ in range(2)]
        for one in calls:
            one.start()
        for _ in range(5):
            closed.wait(0.01)
            cache.sync.close()
        closed.set()
        for one in calls:
            one.join(30)
            assert not one.is_alive()
        assert values == {"value"}


async def test_a_watch_that_is_forgotten_closes_nothing():
    closed, end = [], LoopEnd()

    async def close() -> None:
        closed.append(True)

    end.watch(close)
    await end.forget()
    await end.forget()
    await asyncio.get_running_loop().shutdown_asyncgens()
    assert not closed


def test_a_watch_closes_before_the_loop_ends():
    closed, end = [], LoopEnd()

    async def close() -> None:
        closed.append(asyncio.get_running_loop().is_running())
        await end.forget()

    async def main() -> None:
        end.watch(close)

    asyncio.run(main())
    assert closed == [True]
