"""Removing what is cached: by key, pattern, type or tag, now or when a transaction commits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import TimeoutError as WaitTimeoutError
from time import monotonic
from typing import Any

from langcache_cli.caching._errors import CacheUnavailableError
from langcache_cli.caching._front.context import Context
from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._invalidation.after_commit import CommitHooks
from langcache_cli.caching._invalidation.unmatched_patterns import UnmatchedPatterns
from langcache_cli.caching._keys.namespace import require_lists
from langcache_cli.caching._keys.selection import Invalidation, Selection
from langcache_cli.caching._statistics.labels import OUTBOX
from langcache_cli.caching._sync.background_loop import background_loop


class CacheInvalidation:
    """Checks what is to be removed, and passes it to the invalidator of the event loop. See `Cache`."""

    def __init__(self, context: Context, unmatched: UnmatchedPatterns) -> None:
        self._context = context
        self._unmatched = unmatched
        self._commit_hooks = CommitHooks(self)

    async def keys(self, keys: Sequence[str], spec: FunctionSpec | None) -> int:
        """See `Cache.invalidate_keys`."""
        require_lists(keys=keys)
        self._context.namespace.require_inside(*keys)
        if not self._context.enabled or not keys:
            return 0
        runtime = self._context.runtime()
        removed = await runtime.invalidator.invalidate_keys(keys)
        if spec is not None:
            runtime.record(self._context.label(spec), "invalidated", removed)
        elif removed:
            runtime.record(OUTBOX, "cleared_keys", removed)
        return removed

    async def plain_keys(self, keys: Sequence[str]) -> int:
        """See `Cache.delete`."""
        namespace = self._context.namespace
        return await self.keys([key for plain in keys for key in namespace.keys_of_plain(plain)], None)

    async def pattern(self, pattern: str, keys_per_second: float | None) -> int:
        """See `Cache.invalidate`."""
        return await self._selection(self._context.namespace.matching(pattern), pattern, keys_per_second)

    async def type(self, name: str, keys_per_second: float | None) -> int:
        """See `Cache.invalidate_type`."""
        return await self._selection(self._context.namespace.of_type(name), name, keys_per_second)

    async def tags(self, tags: Sequence[str]) -> int:
        """See `Cache.invalidate_tags`."""
        if not self._context.enabled or not tags:
            return 0
        keys = [self._context.namespace.tag(tag) for tag in tags]
        return await self._context.runtime().invalidator.invalidate_keys(keys)

    def after_commit(
        self,
        session: Any,
        *,
        keys: Sequence[str],
        tags: Sequence[str],
        patterns: Sequence[str],
        types: Sequence[str],
    ) -> None:
        """See `Cache.after_commit`."""
        invalidations = self.named(keys, tags, patterns, types)
        if self._context.enabled:
            self._commit_hooks.add(session, invalidations)

    def named(
        self, keys: Sequence[str], tags: Sequence[str], patterns: Sequence[str], types: Sequence[str]
    ) -> list[Invalidation]:
        """What some names stand for; raises like `Namespace.invalidations`."""
        return self._context.namespace.invalidations(keys, tags, patterns, types)

    def at_commit(self, session: Any, invalidations: Sequence[Invalidation]) -> None:
        """Invalidate when the transaction of ``session`` commits, and not before."""
        self._commit_hooks.add(session, invalidations, at_once=False)

    async def _selection(self, selection: Selection, name: str, keys_per_second: float | None) -> int:
        if not self._context.enabled:
            return 0
        runtime, started = self._context.runtime(), monotonic()
        removed = await runtime.invalidator.invalidate_selection(selection, keys_per_second=keys_per_second)
        self._warn([selection], removed)
        runtime.fleet.events.write_soon("clear", name, count=removed or 0, seconds=monotonic() - started)
        return removed or 0

    def _warn(self, invalidations: Sequence[Invalidation], removed: int | None) -> None:
        """Warn about patterns that removed nothing, and can match nothing."""
        if removed == 0:
            selections = [item for item in invalidations if isinstance(item, Selection)]
            self._unmatched.removed_nothing([item.pattern for item in selections if item.only is None])

    async def removed(self, invalidations: Sequence[Invalidation]) -> None:
        """Invalidate, on the running event loop."""
        self._warn(invalidations, await self._context.runtime().invalidator.invalidate_all(invalidations))

    def remove_soon(self, invalidations: Sequence[Invalidation]) -> None:
        """Begin to invalidate; on the thread of no event loop, on another one (`_loop_elsewhere`)."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            if loop := self._loop_elsewhere():
                asyncio.run_coroutine_threadsafe(self.removed(invalidations), loop)
            return
        runtime = self._context.runtime()
        runtime.forget(invalidations)
        runtime.spawn(self.removed(invalidations))

    def remove_apart(self, invalidations: Sequence[Invalidation]) -> None:
        """Invalidate where nothing can be awaited.

        On the thread of an event loop it is kept, and this process does not read what it is about before
        Redis has confirmed it. On another thread this waits for an event loop of this cache, or for the
        background loop of the process.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            loop = self._loop_elsewhere()
            if loop is None:
                self._context.outbox.defer(invalidations)
                return
            work = asyncio.run_coroutine_threadsafe(self.removed(invalidations), loop)
            try:
                work.result(2 * self._context.settings.operation_timeout)
            except WaitTimeoutError:
                work.cancel()  # what is cancelled is kept
            return
        self._context.runtime().invalidator.defer(invalidations)

    def _loop_elsewhere(self) -> asyncio.AbstractEventLoop | None:
        """An event loop of another thread that uses this cache, or is started for it; None if none can be."""
        runtimes, background = self._context.runtimes, background_loop.running
        if background is not None and runtimes.of(background) is not None:
            return background  # what this thread reads comes from there
        if (loop := runtimes.running_loop()) is not None:
            return loop
        try:
            return background_loop.loop()
        except CacheUnavailableError:
            return None
