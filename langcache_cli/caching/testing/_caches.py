"""Caches for unit tests: one in memory, and one that stores nothing."""

from __future__ import annotations

from typing import Any

from langcache_cli.caching._config.settings import CacheSettings
from langcache_cli.caching._front.cache import Cache
from langcache_cli.caching._wire.externals import Externals
from langcache_cli.caching.testing._clock import FakeClock
from langcache_cli.caching.testing._faults import Faults
from langcache_cli.caching.testing._memory_server import MemoryServer


def memory_cache(*, clock: FakeClock | None = None, faults: Faults | None = None, **settings: Any) -> Cache:
    """A cache with a `MemoryServer` of its own in place of Redis; all other code is that of production.

    It is not shared with other processes, and supports only the commands that the core sends. `Cache.client`
    does not use it.

    Args:
        clock: The clock by which entries expire; by default the system clock.
        faults: Faults to inject between the cache and the server.
        settings: Fields of `CacheSettings`; the environment provides all others except ``redis_enabled``,
            ``ttl_jitter`` and ``near_cache_bytes``.

    Raises:
        ConfigurationError: A setting is invalid.
    """
    settings = {"ttl_jitter": 0.0, "near_cache_bytes": 0, **settings, "redis_enabled": True}
    now_ms = clock.now_ms if clock is not None else Externals().now_ms
    externals = Externals(MemoryServer(now_ms).connect, now_ms, in_memory=True)
    if faults is not None:
        externals = faults.externals(externals)
    return Cache(CacheSettings.load(env_file=None, **settings), externals=externals)


def null_cache(**settings: Any) -> Cache:
    """A cache that stores nothing: each call runs its function, and invalidations succeed and remove nothing.

    Args:
        settings: Fields of `CacheSettings`; the environment provides the others.

    Raises:
        ConfigurationError: A setting is invalid.
    """
    return Cache(CacheSettings.load(env_file=None, **{**settings, "redis_enabled": False}))
