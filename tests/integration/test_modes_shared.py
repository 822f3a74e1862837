"""One block object in several tasks and threads: each leaves the block that it has entered."""

import asyncio
import contextvars

import pytest

from langcache_cli.caching.testing import memory_cache


@pytest.fixture
async def cache():
    cache = memory_cache()
    yield cache
    await cache.aclose()


@pytest.fixture
def get(cache):
    calls = []

    @cache.cached(key_prefix="words")
    async def get(item: int) -> int:
        calls.append(item)
        return len(calls)

    return get


async def test_tasks_leave_their_own(cache, get):
    assert await get(1) == 1
    block, entered, left = cache.bypassed(), asyncio.Event(), asyncio.Event()

    async def first() -> int:
        with block:
            await entered.wait()
        left.set()
        return await get(1)

    async def second() -> int:
        await asyncio.sleep(0)
        with block:
            entered.set()
            await left.wait()
            return await get(1)

    assert await asyncio.gather(first(), second()) == [1, 2]
    assert await get(1) == 1


async def test_it_can_be_nested(cache, get):
    assert await get(1) == 1
    block = cache.bypassed()
    with block:
        with block:
            assert await get(1) == 2
        assert await get(1) == 3
        assert await asyncio.create_task(nested(block, get)) == 4
        assert await get(1) == 5
    assert await get(1) == 1


async def nested(block, get):
    async with block:
        return await get(1)


async def test_it_may_be_left_in_another_context(cache, get):
    assert await get(1) == 1
    block = cache.bypassed()
    contextvars.copy_context().run(block.__enter__)
    assert await get(1) == 1
    block.__exit__(None, None, None)
    assert await get(1) == 1
    assert not block._blocks


def test_a_signal_handler_may_enter_a_block_at_any_point():
    cache = memory_cache()
    with cache.modes._lock, cache.bypassed():  # as if the signal came in the middle of a change
        pass


def test_a_signal_handler_may_enter_a_block_while_events_change():
    cache = memory_cache()
    with cache.events._lock, cache.bypassed():
        pass
