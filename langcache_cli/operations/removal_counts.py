"""Counts what the command has removed, so that `stats` can explain a low rate by it."""

from __future__ import annotations

from contextlib import suppress

from langcache_cli.caching import Cache, CacheError
from langcache_cli.caching.tooling import OUTBOX, TIERS

KEYS, TAGS = "cleared_keys", "invalidated_tags"


def count_removed(cache: Cache, counter: str, amount: int) -> None:
    """Add to a counter in the background, unless the cache delivers what it counts itself.

    A failure is ignored: the removal is done.
    """
    if amount and not cache.runtime().publisher.is_on:
        cache.runtime().spawn(_add(cache, counter, amount))


async def _add(cache: Cache, counter: str, amount: int) -> None:
    runtime = cache.runtime()
    minute = TIERS[0].start(runtime.now_ms() // 1000)
    with suppress(CacheError):
        await runtime.fleet.writer.add({minute: {OUTBOX: {counter: amount}}})
