"""Warm the functions of an application: those that have a warmer."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langcache_cli.caching import Cache, ConfigurationError
from langcache_cli.caching.tooling import Pace, WarmCounts, Warmer, default_warmers, warm
from langcache_cli.operations.application import takes_nothing
from langcache_cli.operations.dry_run import would_write
from langcache_cli.operations.loop_gaps import watched_loop
from langcache_cli.operations.opening import require_answer
from langcache_cli.operations.type_filter import of_types

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FunctionLine:
    """What became of the calls of one function.

    Attributes:
        function: ``prefix:name``.
        counts: The numbers.
        seconds: How long it took.
    """

    function: str
    counts: WarmCounts
    seconds: float


@dataclass(frozen=True, slots=True)
class ApplicationReport:
    """What a warm did, or with ``dry_run`` would do; a line for each function that has a warmer."""

    lines: tuple[FunctionLine, ...]
    dry_run: bool

    @property
    def total(self) -> WarmCounts:
        """All lines together."""
        return sum((line.counts for line in self.lines), WarmCounts())


@dataclass(slots=True)
class ApplicationWarm:
    """One warm, which can be asked for its report at any time: after an interruption, too.

    Attributes:
        cache: Where to write.
        types: Only functions of these cache types; empty for all.
        missing_only: Leave entries alone that are there.
        rate: Calls a second at most, on average: a batch of the application is never taken apart.
        dry_run: Count, but write nothing.
        on_progress: Is given how many calls are done, and 0 for the total, which is unknown.
    """

    cache: Cache
    types: Collection[str] = ()
    missing_only: bool = False
    rate: float | None = None
    dry_run: bool = False
    on_progress: Callable[[int, int], None] = lambda _done, _total: None
    _lines: list[FunctionLine] = field(default_factory=list)

    async def run(self) -> ApplicationReport:
        """Do it.

        Raises:
            CacheError: Redis could not be used; there is no such cache type.
            ConfigurationError: A warmer or its function is a method.
            Exception: Whatever a warmer raises.
        """
        if not self.dry_run or self.missing_only:
            await require_answer(self.cache)
        warmers = default_warmers()
        chosen = of_types(self.cache.settings, [warmer.function for warmer in warmers], self.types)
        warmers = [warmer for warmer in warmers if warmer.function.spec.keys.stem in chosen]
        for warmer in warmers:
            _require_no_instance(warmer)
        started = time.monotonic()
        for warmer in warmers:
            await self._warm(warmer)
        report = self.report()
        if not self.dry_run:
            events, seconds = self.cache.runtime().fleet.events, time.monotonic() - started
            types = ", ".join(sorted(self.types)) or "the application"
            events.write_soon("warm", types, count=report.total.written, seconds=seconds)
        return report

    def report(self) -> ApplicationReport:
        """What has been done so far."""
        return ApplicationReport(tuple(self._lines), self.dry_run)

    async def _warm(self, warmer: Warmer[Any]) -> None:
        started, pace = time.perf_counter(), Pace(None if self.dry_run else self.rate)
        done, counts = sum(line.counts.read for line in self._lines), WarmCounts()
        self._lines.append(FunctionLine(warmer.function.spec.keys.stem, counts, 0.0))
        async for calls in warmer.calls():
            if self.dry_run:
                function, missing_only = warmer.function, self.missing_only
                counts += await would_write(self.cache, function, calls, missing_only=missing_only)
            else:
                counts += await self._stored(warmer, calls)
            self._lines[-1] = FunctionLine(
                warmer.function.spec.keys.stem, counts, time.perf_counter() - started
            )
            self.on_progress(done + counts.read + counts.skipped, 0)
            await pace.keep(len(calls))

    async def _stored(self, warmer: Warmer[Any], calls: Sequence[Mapping[str, Any]]) -> WarmCounts:
        """Load and store one batch. Values whose leases ended while the loop was blocked count as failed."""
        lease_seconds = self.cache.settings.lease_seconds
        async with watched_loop(lease_seconds) as gaps:
            counts = await warm(
                self.cache, warmer.function, calls, warmer.load, missing_only=self.missing_only
            )
        if not counts.refused or gaps.longest_seconds < lease_seconds / 2:
            return counts
        _log.warning(
            "%d values of %s were not stored: its load kept the event loop busy for %.1f s, and leases end "
            "after %.1f s (LANGCACHE_LEASE_SECONDS); load in a thread, or in smaller batches",
            counts.refused,
            warmer.function.spec.name,
            gaps.longest_seconds,
            lease_seconds,
        )
        return replace(counts, refused=0, failed=counts.failed + counts.refused)


def _require_no_instance(warmer: Warmer[Any]) -> None:
    """Refuse a warmer, or a function that is to be called for each value, that waits for ``self``.

    Raises:
        ConfigurationError: So it is; the message says how to write it.
    """
    name = warmer.function.spec.name
    way_out = "set the warmer where there is an instance: instance.function.warmer(calls)"
    if not takes_nothing(warmer.calls):
        raise ConfigurationError(f"the warmer of {name} takes arguments; {way_out}", variable="--app")
    function = warmer.function
    needs_instance = function.spec.keys.instance is not None and not inspect.ismethod(function.uncached)
    if needs_instance and warmer.load.__module__ == Warmer.__module__:  # that of `one_by_one`
        raise ConfigurationError(
            f"{name} is a method, and its warmer has no load=; {way_out}", variable="--app"
        )
