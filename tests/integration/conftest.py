"""Fixtures of the tests that run the caching core against a real Redis."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from langcache_cli.caching import Cache
from tests.integration.cache_support import cache_at, leftover_tasks


@pytest.fixture
async def open_cache(redis_url: str) -> AsyncIterator[Callable[..., Cache]]:
    """`open_cache(url, **settings)`: caches of this test, closed after it; then nothing may be left.

    No task, and nothing that asyncio had to complain about, such as an exception nobody retrieved.
    """
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    caches: list[Cache] = []

    def open_one(url: str = redis_url, **settings: Any) -> Cache:
        caches.append(cache_at(url, **settings))
        return caches[-1]

    yield open_one
    for cache in caches:
        await cache.aclose()
    await asyncio.sleep(0)  # the transports of closed connections say goodbye in the next iteration
    assert leftover_tasks() == []
    gc.collect(1)  # an exception that nobody retrieved is only noticed when its task goes
    assert complaints == []


@pytest.fixture
def cache(open_cache: Callable[..., Cache]) -> Cache:
    """A cache in the shared server."""
    return open_cache()
