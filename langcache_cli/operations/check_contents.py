"""Is in the cache what has to be there? Looks at no more keys than it takes to know."""

from __future__ import annotations

from collections.abc import AsyncIterator

from langcache_cli.caching import Cache
from langcache_cli.caching.tooling import Namespace, scan

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
    found = set[bytes]()
    async for keys in _keys(cache, type_name):
        found.update(keys)
        if len(found) >= enough:
            return enough
    return len(found)


def _keys(cache: Cache, type_name: str) -> AsyncIterator[list[bytes]]:
    """Batches of the keys of a type, or of a prefix that belongs to none.

    Each answer may take ``LANGCACHE_OPERATION_TIMEOUT``; `Cache.scan` has the patience of bulk work.
    """
    settings = cache.settings
    namespace = Namespace(settings.namespace, settings.types)
    if type_name in settings.types:
        selection = namespace.of_type(type_name)
    else:
        selection = namespace.matching(f"{settings.namespace}:{type_name}:*")
    return scan(cache.runtime().server, selection)
