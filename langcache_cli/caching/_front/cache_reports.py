"""What there is to know of a cache: its keys, its numbers, its server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._front.cache_invalidation import Invalidating
from langcache_cli.caching._front.cached_function import CachedFunction
from langcache_cli.caching._protocol.scanning import scan
from langcache_cli.caching._statistics.report import (
    CacheReport,
    CacheStats,
    Numbers,
    ServerReport,
    cache_stats,
    server_report,
)

DEFAULT_WINDOW_SECONDS = 3600


class Reporting(Invalidating):
    """The part of `Cache` that tells."""

    async def holds(self, key: str) -> bool:
        """Whether there is anything under a full key: an entry, or the placeholder of a load.

        Raises:
            CacheUnavailableError: Redis did not answer.
        """
        return bool(await self._usable_runtime().node.call("EXISTS", key))

    async def holds_tag(self, tag: str) -> bool:
        """Whether a tag is in use: something that was stored with it may be there.

        Raises:
            CacheUnavailableError: Redis did not answer.
        """
        return await self.holds(self._namespace.tag(tag))

    def statistics_of(self, function: CachedFunction[Any, Any]) -> Numbers:
        """What this process has counted for a function and not delivered yet."""
        return Numbers(self.statistics.of(self.label(function.spec)))

    async def scan(
        self, pattern: str | None = None, *, type_name: str | None = None
    ) -> AsyncIterator[list[str]]:
        """Yield batches of keys: all, those that match a pattern, or those of a cache type.

        A key may come twice, and one that comes or goes meanwhile may be missing: Redis' SCAN.

        Raises:
            PatternError: The pattern does not begin with the namespace.
            UnknownCacheTypeError: There is no such type.
            CacheUnavailableError: Redis went away.
        """
        namespace = self._namespace
        selection = namespace.everything if pattern is None else namespace.matching(pattern)
        if type_name is not None:
            selection = namespace.of_type(type_name)
        async for keys in scan(self._usable_runtime().bulk_node, selection):
            yield [key.decode("utf-8", "replace") for key in keys]

    async def ping(self) -> float:
        """The round trip to Redis in seconds.

        Raises:
            CacheUnavailableError: No answer within the budget, or the cache is disabled.
        """
        runtime = self._usable_runtime()
        started = runtime.loop.time()
        await runtime.node.call("PING")
        return runtime.loop.time() - started

    async def report(self, *, window_seconds: int = DEFAULT_WINDOW_SECONDS) -> CacheReport:
        """The cache's own numbers of all processes; this one's are delivered first.

        Args:
            window_seconds: How far back, at most a week.

        Raises:
            CacheError: Redis could not be asked.
        """
        runtime = self._usable_runtime()
        await runtime.publisher.now()
        counts = await runtime.fleet_totals.read(window_seconds)
        return CacheReport(window_seconds, {label: Numbers(items) for label, items in counts.items()})

    async def server_report(self) -> ServerReport:
        """What Redis says of itself.

        Raises:
            CacheError: Redis could not be asked.
        """
        node = self._usable_runtime().node
        keys = await node.call("DBSIZE")
        return server_report(await node.call("INFO"), database_keys=keys)

    async def stats(self) -> CacheStats:
        """Both reports as one record for a health page.

        It never raises for want of Redis, and takes no longer than ``LANGCACHE_OPERATION_TIMEOUT``.
        """
        server: ServerReport | None = None
        report: CacheReport | None = None
        if self.enabled:
            with suppress(CacheError, TimeoutError):
                async with asyncio.timeout(self.settings.operation_timeout):
                    server = await self.server_report()
                    report = await self.report()
        return cache_stats(
            enabled=self.enabled, server=server, report=report, outbox=self.pending_invalidations
        )
