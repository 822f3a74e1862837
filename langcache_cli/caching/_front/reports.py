"""What can be asked of a cache: its keys, its numbers, its server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from langcache_cli.caching._errors import CacheError, ServerReplyError
from langcache_cli.caching._front.context import Context
from langcache_cli.caching._protocol.scanning import scan
from langcache_cli.caching._protocol.usability import problem_of, trial
from langcache_cli.caching._statistics.fleet.tiers import FIVE_MINUTES, Tier
from langcache_cli.caching._statistics.report import (
    CacheReport,
    CacheStats,
    Numbers,
    ServerReport,
    cache_stats,
    combined,
    server_report,
)
from langcache_cli.caching._wire.budget import Budget

DEFAULT_WINDOW_SECONDS = 3600


class Reports:
    """Asks Redis on behalf of one cache. See `Cache`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def holds(self, key: str) -> bool:
        """See `Cache.holds`."""
        return bool(await self._context.enabled_runtime().server.call("EXISTS", key))

    async def holds_tag(self, tag: str) -> bool:
        """See `Cache.holds_tag`."""
        return await self.holds(self._context.namespace.tag(tag))

    async def scan(self, pattern: str | None, type_name: str | None) -> AsyncIterator[list[str]]:
        """See `Cache.scan`."""
        namespace = self._context.namespace
        selection = namespace.everything if pattern is None else namespace.matching(pattern)
        if type_name is not None:
            selection = namespace.of_type(type_name)
        async for keys in scan(self._context.enabled_runtime().bulk_server, selection):
            yield [key.decode("utf-8", "replace") for key in keys]

    async def ping(self) -> float:
        """See `Cache.ping`."""
        runtime = self._context.enabled_runtime()
        started = runtime.loop.time()
        await runtime.server.ping()
        return runtime.loop.time() - started

    async def report(
        self,
        window_seconds: int = DEFAULT_WINDOW_SECONDS,
        budget: Budget | None = None,
        *,
        tier: Tier | None = None,
    ) -> CacheReport:
        """See `Cache.report`; ``budget`` is an upper bound for the time, ``tier`` says what to read."""
        runtime = self._context.enabled_runtime()
        if budget is None:
            await runtime.publisher.now()
        else:
            ends = runtime.loop.time() + budget.left
            with suppress(TimeoutError):  # the delivery goes on
                async with asyncio.timeout(budget.left):
                    await runtime.publisher.now()
            budget.left = ends - runtime.loop.time()
        seconds, counts = await runtime.fleet.reader.read(window_seconds, budget, tier=tier)
        return CacheReport(seconds, {label: Numbers(items) for label, items in counts.items()})

    async def server_report(self) -> ServerReport:
        """See `Cache.server_report`."""
        report, problem = await self._server([], None)
        if problem is not None and problem.lost_nodes:
            raise problem
        return report

    async def usability(self) -> tuple[ServerReport, CacheError | None]:
        """See `Cache.usability`."""
        return await self._server(self._trial(), None)

    def _trial(self) -> list[tuple[str, ...]]:
        settings = self._context.settings
        return trial(settings.namespace, is_cluster=settings.target.kind == "cluster")

    async def _server(
        self, tried: Sequence[tuple[str, ...]], budget: Budget | None
    ) -> tuple[ServerReport, CacheError | None]:
        """What Redis says of itself, and what keeps it from holding a cache, as far as ``tried`` shows.

        Of a cluster of which nodes are away, what the others say.
        """
        server = self._context.enabled_runtime().server
        questions = [("DBSIZE",), ("INFO",), *tried]
        answers, lost = await server.ask_nodes(lambda node: node.call_many(questions, budget=budget))
        reports: list[ServerReport] = []
        problems: list[CacheError | None] = [lost]
        for keys, info, *replies in answers.values():
            for reply in (keys, info):
                if isinstance(reply, ServerReplyError):
                    raise reply
            reports.append(server_report(info, database_keys=keys))
            problems.append(problem_of(info, replies, is_cluster=server.is_cluster))
        problem = next(filter(None, problems), None)
        if server.is_cluster and isinstance(problem, ServerReplyError) and problem.code == "CLUSTERDOWN":
            problem = server.unavailable(f"the cluster is down: {problem}")
        return combined(reports), problem

    async def stats(self) -> CacheStats:
        """See `Cache.stats`."""
        server: ServerReport | None = None
        report: CacheReport | None = None
        problem: CacheError | None = None
        error = ""
        if self._context.enabled:
            # a budget, not a time-out around it: only so the breaker counts a Redis that hangs
            budget = Budget(self._context.settings.operation_timeout)
            try:
                server, problem = await self._server(self._trial(), budget)
                report = await self.report(budget=budget, tier=FIVE_MINUTES)  # a tenth of the work
            except CacheError as failure:
                error = str(failure)
        return cache_stats(
            enabled=self._context.enabled,
            server=server,
            report=report,
            usable=problem is None,
            outbox=len(self._context.outbox),
            error=error if problem is None else str(problem),
        )
