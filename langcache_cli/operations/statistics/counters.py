"""The counters of the fleet, read with the patience that the user asks for.

`Cache.report` waits up to ten seconds for each answer, as bulk work does; a command has ``--timeout``.
"""

from __future__ import annotations

from langcache_cli.caching import Cache
from langcache_cli.caching.tooling import CacheReport, FleetReader, Numbers


def reader_of(cache: Cache) -> FleetReader:
    """Reads the counters; each answer may take ``LANGCACHE_OPERATION_TIMEOUT``."""
    runtime = cache.runtime()
    return FleetReader(runtime.server, cache.settings.namespace, now_ms=runtime.now_ms)


async def counters(cache: Cache, window_seconds: int) -> CacheReport:
    """The numbers of all processes over a window that ends now, and is a little longer than asked for.

    Raises:
        CacheError: Redis did not answer, or refused.
    """
    seconds, counts = await reader_of(cache).read(window_seconds)
    return CacheReport(seconds, {label: Numbers(items) for label, items in counts.items()})
