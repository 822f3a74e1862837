"""Removing entries, and with them the right to store any load of them that is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from langcache_cli.caching._deployment.cluster.slots import ALL_SLOTS
from langcache_cli.caching._deployment.server import Server
from langcache_cli.caching._errors import CacheError, CacheUnavailableError
from langcache_cli.caching._invalidation.delivery import Delivery
from langcache_cli.caching._invalidation.outbox import Outbox
from langcache_cli.caching._keys.selection import Invalidation, Selection
from langcache_cli.caching._keys.tags import is_tag_key
from langcache_cli.caching._protocol.scanning import sweep
from langcache_cli.caching._protocol.store import Store
from langcache_cli.caching._wire.budget import Budget

T = TypeVar("T")


class Invalidator:
    """Invalidates on behalf of one event loop: now if Redis confirms it, and through the outbox otherwise."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        *,
        delivery: Delivery | None,
        selection_server: Server,
        forget: Callable[[Sequence[Invalidation]], object],
        count: Callable[[str, int], object],
    ) -> None:
        """Prepare.

        Args:
            store: Removes keys.
            outbox: Remembers what was confirmed.
            delivery: Takes what Redis does not confirm; None raises instead.
            selection_server: Where the keys of selections are searched for and removed.
            forget: Drops invalidations from the near cache.
            count: Counts tags, and keys that belong to no function.
        """
        self._store = store
        self._outbox = outbox
        self._delivery = delivery
        self._selection_server = selection_server
        self._forget = forget
        self._count = count

    async def invalidate_keys(self, keys: Sequence[str]) -> int:
        """Remove full keys, of entries or of tags; returns how many there were, where Redis confirmed it.

        Raises:
            CacheUnavailableError: Redis did not confirm, and there is no delivery.
        """
        return await self._invalidate_keys(keys, Budget(self._store.server.timeout))

    async def _invalidate_keys(self, keys: Sequence[str], budget: Budget) -> int:
        removal = await self._done_or_deferred(keys, lambda: self._store.invalidate(keys, budget))
        if removal is None:
            return 0
        for confirmed, server in removal.confirmed:
            self._outbox.remember(confirmed, server)
        if tags := min(sum(map(is_tag_key, keys)), removal.removed):
            self._count("invalidated_tags", tags)
        if removal.problem is not None:
            self._defer_rest(removal.unreached, removal.problem)
        return removal.removed

    async def invalidate_selection(
        self, selection: Selection, *, keys_per_second: float | None = None
    ) -> int | None:
        """Remove the keys of a selection, at most so many a second.

        Returns:
            How many there were; None if that is not known, as Redis did not confirm.

        Raises:
            CacheUnavailableError: Redis did not confirm, and there is no delivery.
        """
        return await self._invalidate_selections([selection], keys_per_second=keys_per_second)

    async def invalidate_all(self, invalidations: Sequence[Invalidation]) -> int | None:
        """Remove keys and selections, within one budget for all.

        Returns:
            How many keys the selections had; None if that is not known, as Redis did not confirm.

        Raises:
            CacheUnavailableError: Redis did not confirm, and there is no delivery.
        """
        selections = [item for item in invalidations if isinstance(item, Selection)]
        keys = [item for item in invalidations if isinstance(item, str)]
        budget = Budget(self._store.server.timeout)
        try:
            if keys:
                removed = await self._invalidate_keys(keys, budget)
                if cleared := max(0, removed - sum(map(is_tag_key, keys))):
                    self._count("cleared_keys", cleared)
        except asyncio.CancelledError:
            if self._delivery is not None:
                self._delivery.defer(selections)
            raise
        if not selections:
            return None
        return await self._invalidate_selections(
            selections, budget=budget if self._delivery is not None else None
        )

    async def _invalidate_selections(
        self,
        selections: Sequence[Selection],
        *,
        keys_per_second: float | None = None,
        budget: Budget | None = None,
    ) -> int | None:
        server = self._selection_server
        swept = await self._done_or_deferred(
            selections, lambda: sweep(server, *selections, keys_per_second=keys_per_second, budget=budget)
        )
        if swept is None:
            return None
        if swept.removed:
            self._count("cleared_keys", swept.removed)
        for slots, confirmed_by in swept.confirmed:
            self._outbox.remember(selections, confirmed_by, slots=slots)
        if swept.left:
            nobody = self._selection_server.unavailable("no node serves some of the slots")
            self._defer_rest(selections, swept.problem or nobody, slots=swept.left)
            return None
        return swept.removed

    def defer(self, invalidations: Sequence[Invalidation]) -> None:
        """Invalidate in the background; this process does not read them before Redis has confirmed."""
        self._forget(invalidations)
        if self._delivery is None:
            self._outbox.defer(invalidations)
        else:
            self._delivery.defer(invalidations)

    def _defer_rest(
        self, what: Sequence[Invalidation], problem: CacheError, *, slots: int = ALL_SLOTS
    ) -> None:
        """Keep what some nodes have not confirmed.

        Raises:
            CacheUnavailableError: There is no delivery.
        """
        if self._delivery is not None:
            self._delivery.defer(what, slots=slots)
            return
        with self._store.server.errors_as_unavailable():
            raise problem

    async def _done_or_deferred(
        self, what: Sequence[Invalidation], remove: Callable[[], Awaitable[T]]
    ) -> T | None:
        """The result of ``remove``; None if Redis did not confirm anything, and all was deferred.

        Raises:
            CacheUnavailableError: There is no delivery.
        """
        try:
            with self._store.server.errors_as_unavailable():
                return await remove()
        except CacheUnavailableError:
            if self._delivery is None:
                raise
            self._delivery.defer(what)
            return None
        except asyncio.CancelledError:
            # Outcome unknown, and the change behind it was made: treat as unconfirmed.
            if self._delivery is not None:
                self._delivery.defer(what)
            raise
        finally:
            self._forget(what)
