"""Is in the cache what has to be there? Looks at no more keys than it takes to know."""

from __future__ import annotations

from collections.abc import AsyncIterator

from langcache_cli.caching import Cache

ENTRY = b"lc1 entry"
"""What an entry begins with; the sign that a load runs begins otherwise."""


async def has_entry(cache: Cache, type_name: str) -> bool:
    """True if a cache type has an entry; the sign that a load runs, or has failed, is none.

    Raises:
        CacheError: Redis did not answer, or refused.
    """
    server = cache.runtime().server
    async for keys in _keys(cache, type_name):
        replies = await server.call_many([("GETRANGE", key, 0, len(ENTRY) - 1) for key in keys])
        if ENTRY in replies:
            return True
    return False


async def count_keys(cache: Cache, type_name: str, enough: int) -> int:
    """The keys of a cache type, at most ``enough``.

    Raises:
        CacheError: Redis did not answer, or refused.
    """
    found = set[str]()
    async for keys in _keys(cache, type_name):
        found.update(keys)
        if len(found) >= enough:
            return enough
    return len(found)


def _keys(cache: Cache, type_name: str) -> AsyncIterator[list[str]]:
    if type_name in cache.settings.types:
        return cache.scan(type_name=type_name)
    return cache.scan(f"{cache.settings.namespace}:{type_name}:*")
