"""The counters of all processes over a window, step by step, read again and again."""

from __future__ import annotations

from contextlib import suppress

from langcache_cli.caching import Cache, CacheUnavailableError
from langcache_cli.caching.tooling import TIERS, CacheReport, History, Numbers, Steps, Unread


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
        self._history: tuple[object, History] | None = None
        """With the runtime of the event loop that it reads on."""
        self._before: CacheReport | None = None
        self._before_at = 0

    async def read(self) -> Steps:
        """The window that ends now; what this process has counted is delivered first.

        Raises:
            CacheError: Redis did not answer, or refused.
        """
        with suppress(CacheUnavailableError):  # by a node of a cluster: the others are read
            await self._cache.runtime().publisher.now()
        return await self._current().read()

    def nothing(self) -> Steps:
        """The same steps without a count."""
        return self._current().nothing()

    async def before(self) -> CacheReport | None:
        """The window of the same length before this one. Read once in each step.

        None if it is not kept, or while nodes of a cluster with some of it are away.

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
            unread = Unread()
            found = await runtime.fleet.reader.read_steps(tier, {0: starts}, unread=unread)
            if unread:
                return None
            functions = {label: Numbers(counts) for label, counts in found[0].items()}
            self._before = CacheReport(self._window, functions)
            self._before_at = step
        return self._before

    def _current(self) -> History:
        """The history that is read on the running event loop."""
        runtime = self._cache.runtime()
        if self._history is None or self._history[0] is not runtime:
            history = History(
                runtime.fleet.reader,
                window_seconds=self._window,
                step_seconds=self._step,
                now_ms=runtime.now_ms,
            )
            self._history = runtime, history
        return self._history[1]
