"""The cache and the database that an operation works on, closed again whatever happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from langcache_cli.caching import Cache, CacheSettings, ConfigurationError, set_default_cache


@asynccontextmanager
async def open_cache(settings: CacheSettings) -> AsyncIterator[Cache]:
    """A cache that counts nothing as the application's, and that the cached services use meanwhile.

    Raises:
        ConfigurationError: The cache is switched off.
    """
    if not settings.redis_enabled:
        raise ConfigurationError(
            "REDIS_ENABLED is false: the application uses no cache; set it to true", variable="REDIS_ENABLED"
        )
    async with Cache(settings, publish_statistics=False) as cache:
        before = set_default_cache(cache)
        try:
            yield cache
        finally:
            set_default_cache(before)
