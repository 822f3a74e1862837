"""A cache for threads without an event loop: each method blocks until Redis has answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from langcache_cli.caching._front.sync.blocking import wait_for
from langcache_cli.caching._statistics.report import CacheStats


class AsyncCache(Protocol):
    """The part of `Cache` that `SyncCache` uses."""

    async def get(self, key: str, default: Any = None) -> Any:
        """The value of a plain key."""
        ...

    async def get_many(self, keys: Sequence[str]) -> dict[str, Any]:
        """The values of plain keys."""
        ...

    async def set(self, key: str, value: Any, *, ttl: float | None = None) -> bool:
        """Store a plain value."""
        ...

    async def set_many(self, values: Mapping[str, Any], *, ttl: float | None = None) -> bool:
        """Store plain values."""
        ...

    async def delete(self, *keys: str) -> int:
        """Remove plain keys."""
        ...

    async def invalidate_keys(self, keys: Sequence[str], /) -> int:
        """Remove full keys."""
        ...

    async def invalidate(self, pattern: str, *, keys_per_second: float | None = None) -> int:
        """Remove by pattern."""
        ...

    async def invalidate_type(self, name: str, *, keys_per_second: float | None = None) -> int:
        """Remove a cache type."""
        ...

    async def invalidate_tags(self, *tags: str) -> int:
        """Invalidate by tag."""
        ...

    async def stats(self) -> CacheStats:
        """The numbers of a health page."""
        ...

    async def aclose(self) -> None:
        """End what the running event loop holds."""
        ...


class SyncCache:
    """What `Cache.sync` returns.

    The methods are those of `Cache`, with the same arguments, results and errors. They run on the background
    event loop of the process and block the calling thread.

    Raises:
        RuntimeError: From every method, if an event loop runs on the calling thread.
    """

    def __init__(self, cache: AsyncCache) -> None:
        self._cache = cache

    def get(self, key: str, default: Any = None) -> Any:
        """The value stored with `set`; see `Cache.get`."""
        return wait_for(self._cache.get, key, default)

    def get_many(self, keys: Sequence[str]) -> dict[str, Any]:
        """The values of several keys; see `Cache.get_many`."""
        return wait_for(self._cache.get_many, keys)

    def set(self, key: str, value: Any, *, ttl: float | None = None) -> bool:
        """Store a plain JSON value; see `Cache.set`."""
        return wait_for(self._cache.set, key, value, ttl=ttl)

    def set_many(self, values: Mapping[str, Any], *, ttl: float | None = None) -> bool:
        """Store several plain JSON values; see `Cache.set_many`."""
        return wait_for(self._cache.set_many, values, ttl=ttl)

    def delete(self, *keys: str) -> int:
        """Remove keys given as for `set`, or full keys; see `Cache.delete`."""
        return wait_for(self._cache.delete, *keys)

    def invalidate_keys(self, keys: Sequence[str]) -> int:
        """Remove full keys; see `Cache.invalidate_keys`."""
        return wait_for(self._cache.invalidate_keys, keys)

    def invalidate(self, pattern: str, *, keys_per_second: float | None = None) -> int:
        """Remove every key that matches a pattern; see `Cache.invalidate`."""
        return wait_for(self._cache.invalidate, pattern, keys_per_second=keys_per_second)

    def invalidate_type(self, name: str, *, keys_per_second: float | None = None) -> int:
        """Remove every entry of a cache type; see `Cache.invalidate_type`."""
        return wait_for(self._cache.invalidate_type, name, keys_per_second=keys_per_second)

    def invalidate_tags(self, *tags: str) -> int:
        """Invalidate every entry that has one of these tags; see `Cache.invalidate_tags`."""
        return wait_for(self._cache.invalidate_tags, *tags)

    def stats(self) -> CacheStats:
        """The numbers of a health page; see `Cache.stats`."""
        return wait_for(self._cache.stats)

    def close(self) -> None:
        """Deliver the statistics, and end what the background loop holds for this cache.

        The cache can be used again. Needed in tests only: the end of the process does it, too.
        """
        wait_for(self._cache.aclose)
