"""What can be asked of a cache: its keys, its numbers, its server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._front.context import Context
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


class Reports:
    """Asks Redis on behalf of one cache. See `Cache`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def holds(self, key: str) -> bool:
        """See `Cache.holds`."""
        return bool(await self._context.enabled_runtime().node.call("EXISTS", key))

    async def holds_tag(self, tag: str) -> bool:
        """See `Cache.holds_tag`."""
        return await self.holds(self._context.namespace.tag(tag))

    async def scan(self, pattern: str | None, type_name: str | None) -> AsyncIterator[list[str]]:
        """See `Cache.scan`."""
        namespace = self._context.namespace
        selection = namespace.everything if pattern is None else namespace.matching(pattern)
        if type_name is not None:
            selection = namespace.of_type(type_name)
        async for keys in scan(self._context.enabled_runtime().bulk_node, selection):
            yield [key.decode("utf-8", "replace") for key in keys]

    async def ping(self) -> float:
        """See `Cache.ping`."""
        runtime = self._context.enabled_runtime()
        started = runtime.loop.time()
        await runtime.node.call("PING")
        return runtime.loop.time() - started

    async def report(self, window_seconds: int = DEFAULT_WINDOW_SECONDS) -> CacheReport:
        """See `Cache.report`."""
        runtime = self._context.enabled_runtime()
        await runtime.publisher.now()
        counts = await runtime.fleet_totals.read(window_seconds)
        return CacheReport(window_seconds, {label: Numbers(items) for label, items in counts.items()})

    async def server_report(self) -> ServerReport:
        """See `Cache.server_report`."""
        node = self._context.enabled_runtime().node
        keys = await node.call("DBSIZE")
        return server_report(await node.call("INFO"), database_keys=keys)

    async def stats(self) -> CacheStats:
        """See `Cache.stats`."""
        server: ServerReport | None = None
        report: CacheReport | None = None
        error = ""
        if self._context.enabled:
            try:
                async with asyncio.timeout(self._context.settings.operation_timeout):
                    server = await self.server_report()
                    report = await self.report()
            except TimeoutError:
                error = f"no answer within {self._context.settings.operation_timeout:g} s"
            except CacheError as problem:
                error = str(problem)
        return cache_stats(
            enabled=self._context.enabled,
            server=server,
            report=report,
            outbox=len(self._context.outbox),
            error=error,
        )
