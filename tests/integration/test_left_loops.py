"""A loop closed by hand leaves no coroutine to the garbage collector, once its cache is used again."""

import asyncio
import inspect
from collections.abc import Callable

import pytest

from tests.integration.cache_support import FOLLOWS_A_SENTINEL, cache_at


@pytest.fixture
def left() -> Callable[[str], list[asyncio.Task[None]]]:
    """`left(url)`: the tasks of a cache in a loop that was closed by hand; the cache is used again since."""

    def tasks_at(url: str) -> list[asyncio.Task[None]]:
        cache = cache_at(url)
        loop = asyncio.new_event_loop()

        async def use() -> None:
            await cache.ping()
            if cache.runtime().server.is_cluster:
                cache.runtime().server.router.refresh_soon()
                await asyncio.sleep(0)

        loop.run_until_complete(use())
        tasks = [task for task in asyncio.all_tasks(loop) if not task.done()]
        loop.close()

        async def again() -> None:
            await cache.ping()
            await cache.aclose()

        asyncio.run(again())
        return tasks

    return tasks_at


def is_closed(task: asyncio.Task[None]) -> bool:
    return inspect.getcoroutinestate(task.get_coro()) == inspect.CORO_CLOSED


def test_of_those_that_follow_sentinels(left, sentinel_set):
    tasks = left(sentinel_set.url)
    assert [task.get_name() for task in tasks] == [FOLLOWS_A_SENTINEL] * 3
    assert all(map(is_closed, tasks))


def test_of_those_that_ask_who_has_which_slots(left, bare_cluster):
    tasks = left(bare_cluster.url)
    assert [task.get_name() for task in tasks] == ["langcache-cluster"]
    assert all(map(is_closed, tasks))
