"""Fixtures of the tests of the dashboard: caches on a real Redis, and a browser where there is one."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from langcache_cli.caching import Cache
from tests.harness import browser as browsers
from tests.harness.redis_server import RedisServer
from tests.integration.cache_support import cache_at


@pytest.fixture
async def open_cache(one_redis: RedisServer) -> AsyncIterator[Callable[..., Cache]]:
    """`open_cache(url, **settings)`: caches of this test, closed after it."""
    caches: list[Cache] = []

    def open_one(url: str = one_redis.url, **settings: Any) -> Cache:
        caches.append(cache_at(url, **settings))
        return caches[-1]

    yield open_one
    for cache in caches:
        await cache.aclose()


@pytest.fixture
def cache(open_cache: Callable[..., Cache]) -> Cache:
    """A cache in the shared server."""
    return open_cache()


@pytest.fixture(scope="module")
def page() -> Iterator[browsers.Page]:
    """A browser for all tests of a module."""
    if reason := browsers.missing():
        pytest.skip(reason)
    with browsers.browser() as one:
        yield one
