"""The counters of all processes over a window, step by step, read again and again."""

from __future__ import annotations

from collections.abc import Mapping

from langcache_cli.caching._front.cache import Cache
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._statistics.fleet.history import History, Steps
from langcache_cli.caching._statistics.fleet.tiers import TIERS
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._statistics.report import Numbers
from langcache_cli.caching._wire.budget import Budget


class CacheHistory:
    """The history of one window of one cache. Each read costs only what may have changed since the last."""

    def __init__(self, cache: Cache, *, window_seconds: int, step_seconds: int) -> None:
        """Prepare; nothing is read yet.

        Args:
            cache: The cache, which must be enabled.
            window_seconds: How far back, at most a week.
            step_seconds: Length of a step, which begins at a multiple of it: of a minute for a window of up
                to two hours, of five minutes up to a day, of an hour beyond.
        """
        self._cache = cache
        self._window = window_seconds
        self._step = step_seconds
        self._runtime: Runtime | None = None
        self._history: History | None = None
        self._before: dict[Label, Numbers] | None = None
        self._before_at = 0

    async def read(self, budget: Budget | None = None) -> Steps:
        """The window that ends now; what this process has counted is delivered first.

        Raises:
            CacheError: Redis did not answer, or refused.
        """
        runtime = self._cache.runtime()
        if self._history is None or self._runtime is not runtime:
            self._runtime, self._before = runtime, None
            self._history = History(
                runtime.fleet_reader,
                window_seconds=self._window,
                step_seconds=self._step,
                now_ms=runtime.now_ms,
            )
        await runtime.publisher.now()
        return await self._history.read(budget)

    async def before(self, budget: Budget | None = None) -> Mapping[Label, Numbers] | None:
        """The window of the same length before the one of the last `read`; None if it is not kept.

        Read at most once in each step.

        Raises:
            CacheError: Redis did not answer, or refused.
        """
        runtime = self._cache.runtime()
        now = runtime.now_ms() // 1000
        tier = next((tier for tier in TIERS[1:] if 2 * self._window <= tier.kept_seconds), None)
        if tier is None:
            return None
        step = now - now % self._step
        if self._before is None or self._before_at != step:
            ends = tier.start(now - self._window)
            starts = range(ends - self._window, ends, tier.seconds)
            found = await runtime.fleet_reader.read_steps(tier, {0: starts}, budget)
            self._before = {label: Numbers(counts) for label, counts in found[0].items()}
            self._before_at = step
        return self._before
