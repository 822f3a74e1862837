"""The cache and the database that an operation works on, closed again whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from langcache_cli.caching import (
    Cache,
    CacheSettings,
    ConfigurationError,
    ServerReplyError,
    set_default_cache,
)
from langcache_cli.caching.tooling import acting_as


@asynccontextmanager
async def open_cache(settings: CacheSettings) -> AsyncIterator[Cache]:
    """A cache that counts nothing as the application's, and that the cached services use meanwhile.

    Raises:
        ConfigurationError: The cache is switched off.
    """
    require_enabled(settings)
    with acting_as(via="langcache"):
        async with _opened(settings) as cache:
            yield cache


@asynccontextmanager
async def _opened(settings: CacheSettings) -> AsyncIterator[Cache]:
    cache = Cache(settings, publish_statistics=False, defer_invalidations=False)
    before = set_default_cache(cache)
    try:
        yield cache
    finally:
        set_default_cache(before)
        await _close(cache)


async def _close(cache: Cache) -> None:
    """Close a cache; of a Redis that does not answer no other answer is waited for: it is owed nothing."""
    server = cache.runtime().server
    is_lost = server.is_down if server.is_cluster else server.is_failing
    with suppress(TimeoutError):
        async with asyncio.timeout(0 if is_lost else None):
            await cache.aclose()


def require_enabled(settings: CacheSettings) -> None:
    """Refuse to look at a cache that the application does not use.

    Raises:
        ConfigurationError: The cache is switched off.
    """
    if not settings.redis_enabled:
        raise ConfigurationError(
            "REDIS_ENABLED is false: the application uses no cache; set it to true", variable="REDIS_ENABLED"
        )


async def require_answer(cache: Cache) -> None:
    """Find out within the timeout of the settings whether Redis answers: bulk work waits far longer.

    Raises:
        CacheError: It does not. A user who may not PING has got an answer.
    """
    try:
        await cache.ping()
    except ServerReplyError as error:
        if error.code != "NOPERM":
            raise
