"""Caches for unit tests."""

from __future__ import annotations

from typing import Any

from langcache_cli.caching._config.settings import CacheSettings
from langcache_cli.caching._front.cache import Cache
from langcache_cli.caching._wire.externals import Externals
from langcache_cli.caching.testing._clock import FakeClock
from langcache_cli.caching.testing._faults import Faults
from langcache_cli.caching.testing._memory_server import MemoryServer


def memory_cache(*, clock: FakeClock | None = None, faults: Faults | None = None, **settings: Any) -> Cache:
    """A cache whose Redis is a dictionary of this process: the same code, keys and rules, and no server.

    Not shared with other processes. It knows the commands that the core sends, and no more:
    `Cache.client` does not reach it.

    Args:
        clock: What entries end by; without it the real time.
        faults: What comes between the cache and its dictionary.
        settings: Fields of `CacheSettings`; the environment is not read but for the others.
    """
    settings = {"ttl_jitter": 0.0, "near_cache_bytes": 0, **settings, "redis_enabled": True}
    own = Externals()
    now_ms = clock.now_ms if clock is not None else own.now_ms
    externals = Externals(MemoryServer(now_ms).connect, now_ms)
    if faults is not None:
        externals = faults.externals(externals)
    return Cache(CacheSettings.load(env_file=None, **settings), externals=externals)


def null_cache(**settings: Any) -> Cache:
    """A cache that keeps nothing: every call runs its function, every invalidation is content."""
    return Cache(CacheSettings.load(env_file=None, **{**settings, "redis_enabled": False}))
