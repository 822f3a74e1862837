"""The overview, from the reports of the cache and a look at the keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Final, NamedTuple, cast

from langcache_cli.caching import Cache, CacheError, CacheUnavailableError, ServerReplyError
from langcache_cli.caching.tooling import CacheReport, Numbers, ServerReport, Steps
from langcache_cli.operations.overview.census import Census
from langcache_cli.operations.overview.document import (
    SCHEMA,
    Cost,
    Event,
    HotKey,
    Overview,
    Previous,
    Server,
    Status,
    TypeSummary,
)
from langcache_cli.operations.overview.findings import findings_of
from langcache_cli.operations.overview.history import CacheHistory
from langcache_cli.operations.overview.key_text import readable
from langcache_cli.operations.overview.keyspace import KeyspaceWatch, type_of
from langcache_cli.operations.overview.series import SeriesMaker
from langcache_cli.operations.overview.summaries import functions_of, saved_seconds, summary_of


class Window(NamedTuple):
    """A window and its steps, in seconds."""

    seconds: int
    step_seconds: int


WINDOWS: Final[Mapping[str, Window]] = {
    "1h": Window(3600, 60),
    "6h": Window(6 * 3600, 300),
    "24h": Window(24 * 3600, 900),
    "7d": Window(7 * 86400, 3600),
}
"""Those that can be asked for."""

EVENTS = 50
"""So many of the latest."""

HOT_KEYS = 12

ENOUGH_SECONDS = 10.0
"""A Redis that answers and takes longer than this for everything is not usable."""


class CacheOverview:
    """Collects the overview of one cache; an `OverviewSource`."""

    def __init__(self, cache: Cache, *, read_only: bool = False) -> None:
        self._cache = cache
        self._read_only = read_only
        self._keys = KeyspaceWatch(cache)
        self._histories: dict[str, tuple[CacheHistory, SeriesMaker]] = {}

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

    def forget(self) -> None:
        """Something was removed: count the keys anew at the next collection."""
        self._keys.forget()

    async def _collected(self, window: str) -> Overview:
        wall, cpu = time.perf_counter(), time.process_time()
        server, problem = await self._cache.usability()
        if problem is not None and problem.lost_nodes:  # what follows would wait longer for them
            runtime, settings = self._cache.runtime(), self._cache.settings
            await runtime.bulk_server.notice_lost_nodes(settings.operation_timeout)
        history, maker = self._history(window)
        try:
            steps, numbers = await history.read(), True
        except CacheError:  # Redis answers, and only the counters did not come
            steps, numbers = history.nothing(), False
        report = _report(steps, WINDOWS[window].seconds)
        keys = await self._keys.look()
        problem = problem or steps.unread
        pending = self._cache.pending_invalidations
        document = self._head(window, "degraded" if problem or pending else "healthy", str(problem or ""))
        types = self._types(report, keys)
        total = summary_of(report.total)
        total["saved_seconds"] = saved_seconds(types.values())
        document["numbers"] = numbers
        document["total"], document["previous"] = total, await _previous(history) if numbers else None
        document["findings"] = findings_of(
            total, types, server, problem, started_in_window=_started_in(steps, server)
        )
        document["series"] = await maker.series(steps)
        document["types"], document["keyspace"] = types, keys.keyspace()
        document["server"], document["events"] = cast("Server", asdict(server)), await self._events()
        document["hot"], document["hot_problem"] = await self._hot(WINDOWS[window].seconds)
        document["biggest"] = keys.biggest()
        document["cost"] = Cost(
            wall_ms=round(1000 * (time.perf_counter() - wall), 1),
            cpu_ms=round(1000 * (time.process_time() - cpu), 1),
        )
        return document

    async def _events(self) -> list[Event]:
        """The latest events; none while the node of a cluster that has them is away."""
        try:
            logged = await self._cache.runtime().fleet.events.recent(EVENTS)
        except CacheUnavailableError:
            return []
        return [cast("Event", asdict(event)) for event in logged]

    async def _hot(self, window_seconds: int) -> tuple[list[HotKey], str]:
        """The keys asked for most often, and why there may be none."""
        try:
            found = await self._cache.runtime().fleet.hot_keys.top(window_seconds, HOT_KEYS)
        except (ServerReplyError, CacheUnavailableError) as error:
            return [], str(error)
        type_of_key = partial(type_of, self._cache)
        hot = [HotKey(key=readable(key), type=type_of_key(key), calls=calls) for key, calls in found]
        sampled = self._cache.settings.hot_keys
        return hot, "" if hot or sampled else "LANGCACHE_HOT_KEYS is false: nothing is sampled"

    def _history(self, window: str) -> tuple[CacheHistory, SeriesMaker]:
        if window not in self._histories:
            history = CacheHistory(
                self._cache,
                window_seconds=WINDOWS[window].seconds,
                step_seconds=WINDOWS[window].step_seconds,
            )
            self._histories[window] = history, SeriesMaker()
        return self._histories[window]

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
            window_seconds=WINDOWS[window].seconds,
            step_seconds=WINDOWS[window].step_seconds,
            refresh_seconds=max(5.0, settings.stats_flush_seconds),
            status=status,
            error=error,
        )

    def _types(self, report: CacheReport, keys: Census) -> dict[str, TypeSummary]:
        known = self._cache.settings.types
        numbers = report.types
        names = [*known, *sorted((keys.types | numbers.keys()) - known.keys())]
        types = {
            name: TypeSummary(
                **summary_of(numbers.get(name, Numbers({}))),
                **keys.of_type(name),
                ttl_seconds=known.of_name_or_prefix(name).ttl_seconds,
                functions=functions_of(report, name),
            )
            for name in names
        }
        for one in types.values():
            one["saved_seconds"] = saved_seconds(one["functions"])
        return types


def _started_in(steps: Steps, server: ServerReport) -> bool:
    """True if Redis was started after the first step, and nothing was counted before."""
    started_at = time.time() - server.uptime_seconds
    return started_at > steps.at[1] and not any(
        steps.counts.get(start) for start in steps.at if start + steps.at[1] - steps.at[0] < started_at
    )


def _report(steps: Steps, window_seconds: int) -> CacheReport:
    return CacheReport(
        window_seconds, {label: Numbers(dict(counts)) for label, counts in steps.total.items()}
    )


async def _previous(history: CacheHistory) -> Previous | None:
    before = await history.before()
    if before is None:
        return None
    total = summary_of(before.total)
    return Previous(calls=total["calls"], hit_ratio=total["hit_ratio"])
