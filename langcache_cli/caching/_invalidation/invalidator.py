"""Removing entries, and the right to store any load of them that is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from langcache_cli.caching._errors import CacheUnavailableError
from langcache_cli.caching._invalidation.outbox import Outbox
from langcache_cli.caching._keys.selection import Invalidation, Selection
from langcache_cli.caching._protocol.scanning import unlink
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._wire.budget import Budget


class Invalidator:
    """Invalidates now if Redis confirms it, and later otherwise."""

    def __init__(self, outbox: Outbox, *, defers: bool) -> None:
        """Keep what Redis does not confirm in ``outbox``; without ``defers`` raise instead."""
        self._outbox = outbox
        self._defers = defers

    async def keys(self, runtime: Runtime, keys: Sequence[str]) -> int:
        """Remove full keys, of entries or of tags; returns how many there were."""
        store, budget = runtime.store, Budget(runtime.node.timeout)
        return await self._confirmed(runtime, keys, lambda: store.invalidate(keys, budget))

    async def selection(
        self, runtime: Runtime, selection: Selection, *, keys_per_second: float | None = None
    ) -> int:
        """Remove the keys of a selection, so many a second at most; returns how many there were."""
        # a request must not wait for a hung Redis: what it does not answer in time goes to the outbox
        server = runtime.node if self._defers else runtime.bulk_node
        return await self._confirmed(
            runtime, [selection], lambda: unlink(server, selection, keys_per_second=keys_per_second)
        )

    async def all(self, runtime: Runtime, invalidations: Sequence[Invalidation]) -> None:
        """Remove keys, of entries or of tags, and selections."""
        selections = [item for item in invalidations if isinstance(item, Selection)]
        keys = [item for item in invalidations if isinstance(item, str)]
        try:
            if keys:
                await self.keys(runtime, keys)
            while selections:
                await self.selection(runtime, selections[-1])
                selections.pop()
        except asyncio.CancelledError:
            if self._defers:
                runtime.defer(selections)
            raise

    async def _confirmed(
        self, runtime: Runtime, what: Sequence[Invalidation], remove: Callable[[], Awaitable[int]]
    ) -> int:
        """Remove; what is not confirmed is kept, and counts as nothing removed.

        Raises:
            CacheUnavailableError: Not confirmed, and not to be kept.
        """
        try:
            with runtime.node.confirming():
                removed = await remove()
        except CacheUnavailableError:
            if not self._defers:
                raise
            runtime.defer(what)
            return 0
        except asyncio.CancelledError:
            # nobody knows whether Redis heard it, but the change behind it was made
            if self._defers:
                runtime.defer(what)
            raise
        finally:
            runtime.forget(what)
        self._outbox.confirmed(what)
        return removed
