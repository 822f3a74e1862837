"""Removing what the dashboard shows: a type, or one entry. The core invalidates."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

from langcache_cli.caching import Cache, CacheError, escape_pattern
from langcache_cli.caching.tooling import OUTBOX, TIERS
from langcache_cli.operations.overview.entry import require_inside

KEYS, TAGS = "cleared_keys", "invalidated_tags"
"""Counters of what is removed."""


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed.

    Attributes:
        removed: How many keys.
        ms: How long it took.
        deferred: True if Redis has not confirmed it yet; calls of this process go past the cache until then.
    """

    removed: int
    ms: float
    deferred: bool


async def remove_type(cache: Cache, name: str) -> Removed:
    """Remove every entry of a cache type, or of a prefix that belongs to none.

    Raises:
        CacheError: Redis did not confirm, and the cache does not defer.
    """
    started = time.perf_counter()
    if name in cache.settings.types:
        removed = await cache.invalidate_type(name)
    else:
        removed = await cache.invalidate(f"{escape_pattern(f'{cache.settings.namespace}:{name}')}:*")
    count_removed(cache, KEYS, removed)
    return _removed(cache, removed, started)


async def remove_entry(cache: Cache, key: bytes) -> Removed:
    """Remove one key, and the right to store any load of it that is under way.

    Raises:
        PatternError: It is outside the namespace.
        CacheError: As for `remove_type`.
    """
    require_inside(cache, key)
    started = time.perf_counter()
    try:
        text = key.decode()
    except UnicodeDecodeError:  # no call of the cache has such a key, so there is nothing to invalidate
        server = cache.runtime().server
        with server.errors_as_unavailable():
            removed = await server.remove([key])
    else:
        removed = await cache.invalidate_keys([text])
    count_removed(cache, KEYS, removed)
    return _removed(cache, removed, started)


def _removed(cache: Cache, removed: int, started: float) -> Removed:
    ms = round(1000 * (time.perf_counter() - started), 1)
    return Removed(removed=removed, ms=ms, deferred=cache.pending_invalidations > 0)


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
