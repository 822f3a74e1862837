"""The overview, from the reports of the cache and a look at the keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Final

from langcache_cli.caching import Cache, CacheError
from langcache_cli.caching.tooling import OUTBOX, CacheReport, Label, Numbers, ServerReport
from langcache_cli.operations.opening import require_answer
from langcache_cli.operations.overview.document import (
    SCHEMA,
    Cost,
    FunctionSummary,
    LatencySeries,
    Overview,
    Series,
    Server,
    Status,
    Summary,
    TypeSeries,
    TypeSummary,
)
from langcache_cli.operations.overview.findings import findings_of
from langcache_cli.operations.overview.keyspace import OTHERS, Census, census

WINDOWS: Final[Mapping[str, int]] = {"1h": 3600, "6h": 21600, "24h": 86400, "7d": 604800}
"""Seconds of each window that can be asked for."""

ENOUGH_SECONDS = 10.0
"""A Redis that answers and takes longer than this for everything is not usable."""


class CacheOverview:
    """Collects the overview of one cache; an `OverviewSource`."""

    def __init__(self, cache: Cache, *, read_only: bool = False) -> None:
        self._cache = cache
        self._read_only = read_only

    async def collect(self, window: str) -> Overview:
        """See `OverviewSource`."""
        if not self._cache.enabled:
            return self._head(window, "disabled", "REDIS_ENABLED is false: the application uses no cache")
        try:
            async with asyncio.timeout(ENOUGH_SECONDS):
                return await self._collected(window)
        except CacheError as error:
            return self._head(window, "unreachable", str(error))
        except TimeoutError:
            return self._head(window, "unreachable", f"Redis took more than {ENOUGH_SECONDS:g} s")

    async def _collected(self, window: str) -> Overview:
        wall, cpu = time.perf_counter(), time.process_time()
        await require_answer(self._cache)
        server, problem = await self._cache.usability()
        report = await self._cache.report(window_seconds=WINDOWS[window])
        keys = await census(self._cache, server.database_keys)
        pending = self._cache.pending_invalidations
        document = self._head(window, "degraded" if problem or pending else "healthy", str(problem or ""))
        types = self._types(report, keys)
        total = summary_of(report.total)
        total["saved_seconds"] = _saved(types.values())
        document["numbers"] = True
        document["total"], document["previous"] = total, None
        document["findings"] = findings_of(total, types, server, problem)
        document["series"] = _one_step(document["now"], document["window_seconds"], report)
        document["types"], document["keyspace"] = types, keys.keyspace()
        document["server"], document["events"] = _server(server), []
        document["hot"], document["biggest"] = [], keys.biggest()
        document["cost"] = Cost(
            wall_ms=round(1000 * (time.perf_counter() - wall), 1),
            cpu_ms=round(1000 * (time.process_time() - cpu), 1),
        )
        return document

    def _head(self, window: str, status: Status, error: str) -> Overview:
        settings = self._cache.settings
        return Overview(
            schema=SCHEMA,
            now=time.time(),
            target=str(settings.target),
            namespace=settings.namespace,
            env=settings.env or "unset",
            read_only=self._read_only,
            windows=list(WINDOWS),
            window=window,
            window_seconds=WINDOWS[window],
            step_seconds=WINDOWS[window],
            refresh_seconds=max(5.0, settings.stats_flush_seconds),
            status=status,
            error=error,
        )

    def _types(self, report: CacheReport, keys: Census) -> dict[str, TypeSummary]:
        known = self._cache.settings.types
        numbers = report.types
        names = [*known, *sorted((keys.types.keys() | numbers.keys()) - known.keys() - {OTHERS})]
        types = {
            name: TypeSummary(
                **summary_of(numbers.get(name, Numbers({}))),
                **keys.of_type(name),
                ttl_seconds=known.of_name_or_prefix(name).ttl_seconds,
                functions=_functions(report, name),
            )
            for name in names
        }
        for one in types.values():
            one["saved_seconds"] = _saved(one["functions"])
        return types


def _saved(parts: Iterable[Summary]) -> float:
    """Of several together: what a load takes differs from function to function."""
    return round(sum(part["saved_seconds"] for part in parts), 3)


def summary_of(numbers: Numbers) -> Summary:
    """The numbers of one function, one type or everything."""
    hits, misses, bypassed = numbers["hits"], numbers["misses"], numbers["bypassed"]
    calls = hits + misses + bypassed
    hit_ms, load_ms = numbers.percentile_ms("hit", 50), numbers.percentile_ms("load", 50)
    spared = max(0.0, (load_ms or 0.0) - (hit_ms or 0.0)) * numbers.loads_avoided
    return Summary(
        calls=calls,
        hits=hits,
        stale=numbers["stale"],
        joined=numbers["joined"],
        misses=misses,
        bypassed=bypassed,
        load_errors=numbers["load_errors"],
        hit_ratio=numbers.hit_rate,
        answered_ratio=hits / calls if calls else None,
        hit_p50_ms=hit_ms,
        hit_p95_ms=numbers.percentile_ms("hit", 95),
        load_p50_ms=load_ms,
        load_p95_ms=numbers.percentile_ms("load", 95),
        saved_seconds=round(spared / 1000, 3),
    )


def _functions(report: CacheReport, type_name: str) -> list[FunctionSummary]:
    found = [
        FunctionSummary(**summary_of(numbers), name=_name(label))
        for label, numbers in report.functions.items()
        if label != OUTBOX and label.type == type_name
    ]
    return sorted(found, key=lambda function: -function["calls"])


def _name(label: Label) -> str:
    return f"{label.prefix}:{label.function}"


def _one_step(now: float, window_seconds: int, report: CacheReport) -> Series:
    """The whole window as one step: the counters do not say more."""
    types = {}
    for name, numbers in report.types.items():
        counts = summary_of(numbers)
        types[name] = TypeSeries(
            hits=[counts["hits"]],
            stale=[counts["stale"]],
            joined=[counts["joined"]],
            misses=[counts["misses"]],
            bypassed=[counts["bypassed"]],
            load_errors=[counts["load_errors"]],
        )
    total = summary_of(report.total)
    latency = LatencySeries(
        hit_p50_ms=[total["hit_p50_ms"]],
        hit_p95_ms=[total["hit_p95_ms"]],
        load_p50_ms=[total["load_p50_ms"]],
        load_p95_ms=[total["load_p95_ms"]],
    )
    return Series(at=[int(now) - window_seconds], types=types, latency=latency)


def _server(report: ServerReport) -> Server:
    return Server(
        product=report.product,
        version=report.version,
        used_memory_bytes=report.used_memory_bytes,
        max_memory_bytes=report.max_memory_bytes,
        eviction_policy=report.eviction_policy,
        connected_clients=report.connected_clients,
        uptime_seconds=report.uptime_seconds,
        database_keys=report.database_keys,
        keyspace_hits=report.keyspace_hits,
        keyspace_misses=report.keyspace_misses,
        evicted_keys=report.evicted_keys,
    )
