"""Removing what is cached: by key, pattern, type or tag, now or when a transaction commits."""

from __future__ import annotations

import _thread
import asyncio
import threading
from collections.abc import Mapping, Sequence
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, NamedTuple

from langcache_cli.caching._errors import CacheUnavailableError
from langcache_cli.caching._front.context import Context
from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._invalidation.after_commit import CommitHooks
from langcache_cli.caching._invalidation.outbox import Outbox
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
            self._begin_on(self._loop_elsewhere(), self._kept(invalidations))
            return
        runtime = self._context.runtime()
        runtime.forget(invalidations)
        runtime.spawn(self.removed(invalidations))

    def remove_apart(self, invalidations: Sequence[Invalidation]) -> None:
        """Invalidate where nothing can be awaited.

        It is kept, and this process does not read what it is about before Redis has confirmed it. Where no
        event loop runs on this thread, this waits until one of another thread has seen to that.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._remove_elsewhere(invalidations)
            return
        self._context.runtime().invalidator.defer(invalidations)

    def _remove_elsewhere(self, invalidations: Sequence[Invalidation]) -> None:
        kept, loop = self._kept(invalidations), self._loop_elsewhere()
        if not self._begin_on(loop, kept):
            return
        try:
            error = kept.ended.get(timeout=2 * self._context.settings.operation_timeout)
        except Empty:  # it is busy, or has ended
            if loop is not background_loop.running:
                self._begin_on(_background(), kept)
            return
        if error is not None:
            raise error

    def _kept(self, invalidations: Sequence[Invalidation]) -> _Kept:
        """Keep them in this thread: an event loop may be busy, or end before it comes to them."""
        return _Kept(invalidations, _held(self._context.outbox, invalidations), SimpleQueue())

    def keep(self, invalidations: Sequence[Invalidation]) -> None:
        """Let this process not read what they are about before Redis has confirmed them; does not wait."""
        _held(self._context.outbox, invalidations)

    def _begin_on(self, loop: asyncio.AbstractEventLoop | None, kept: _Kept) -> bool:
        """Let the event loop of another thread invalidate; False if there is none."""
        if loop is None:
            return False
        try:
            loop.call_soon_threadsafe(self._begin_here, kept)
        except RuntimeError:  # it has been closed meanwhile
            return False
        return True

    def _begin_here(self, kept: _Kept) -> None:
        """Called on the event loop."""
        self._context.runtime().spawn(self._removed_and_released(kept))

    async def _removed_and_released(self, kept: _Kept) -> None:
        """Invalidate what is kept. What Redis does not confirm is kept anew, and so not released."""
        error: Exception | None = None
        try:
            await self.removed(kept.invalidations)
            if number := self._context.outbox.release(kept.held):
                self._context.runtime().record(OUTBOX, "delivered", number)
        except Exception as raised:  # noqa: BLE001 - it is raised in the thread that waits
            error = raised
        finally:
            kept.ended.put(error)

    def _loop_elsewhere(self) -> asyncio.AbstractEventLoop | None:
        """An event loop of another thread that uses this cache, or is started for it; None if none can be."""
        runtimes, background = self._context.runtimes, background_loop.running
        if background is not None and runtimes.of(background) is not None:
            return background  # what this thread reads comes from there
        if (loop := runtimes.running_loop()) is not None:
            return loop
        return _background()


class _Kept(NamedTuple):
    """Invalidations that a thread has put into the outbox, for an event loop to make.

    Attributes:
        invalidations: What they are.
        held: What `Outbox.release` needs.
        ended: Gets the error, or None, at the end. Not a future of `concurrent.futures`: if a signal handler
            raises while a thread waits for one, its lock may stay locked.
    """

    invalidations: Sequence[Invalidation]
    held: Mapping[Invalidation, int]
    ended: SimpleQueue[Exception | None]


def _held(outbox: Outbox, invalidations: Sequence[Invalidation]) -> Mapping[Invalidation, int]:
    """What `Outbox.hold` returns, undisturbed by signals: their handlers run in the main thread.

    One that raised would leave it half done; one that used the cache would wait for the lock of the outbox.
    """
    if threading.current_thread() is not threading.main_thread():
        return outbox.hold(invalidations)
    held: SimpleQueue[Mapping[Invalidation, int]] = SimpleQueue()
    try:
        _thread.start_new_thread(lambda: held.put(outbox.hold(invalidations)), ())
    except RuntimeError:  # the process ends, or may have no more threads
        return outbox.hold(invalidations)
    return held.get()


def _background() -> asyncio.AbstractEventLoop | None:
    """The background loop, started if need be and possible."""
    try:
        return background_loop.loop()
    except CacheUnavailableError:
        return None
