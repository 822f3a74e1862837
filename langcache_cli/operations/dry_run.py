"""What a warm would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langcache_cli.caching import Cache, CachedFunction
from langcache_cli.caching.tooling import WarmCounts


async def would_write(
    cache: Cache,
    function: CachedFunction[Any, Any],
    calls: Sequence[Mapping[str, Any]],
    *,
    missing_only: bool,
) -> WarmCounts:
    """Count the calls as `warm` would: those to load, and with ``missing_only`` those to leave alone.

    Raises:
        CacheError: Redis could not be asked. Without ``missing_only`` it is not.
    """
    if not missing_only or not calls:
        return WarmCounts(read=len(calls))
    keys = [function.key_for(**call) for call in calls]
    replies = await cache.runtime().bulk_store.server.call_many([("EXISTS", key) for key in keys])
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    there = sum(replies)
    return WarmCounts(read=len(calls) - there, skipped=there)
