"""Removing entries, and with them the right to store any load of them that is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from langcache_cli.caching._deployment.confirmation import Confirmation
from langcache_cli.caching._deployment.server import Server
from langcache_cli.caching._errors import CacheUnavailableError
from langcache_cli.caching._invalidation.delivery import Delivery
from langcache_cli.caching._invalidation.outbox import Outbox
from langcache_cli.caching._keys.selection import Invalidation, Selection
from langcache_cli.caching._protocol.scanning import unlink
from langcache_cli.caching._protocol.store import Store
from langcache_cli.caching._wire.budget import Budget


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
    ) -> None:
        """Prepare.

        Args:
            store: Removes keys.
            outbox: Remembers what was confirmed.
            delivery: Takes what Redis does not confirm; None raises instead.
            selection_server: Where the keys of selections are searched for and removed.
            forget: Drops invalidations from the near cache.
        """
        self._store = store
        self._outbox = outbox
        self._delivery = delivery
        self._selection_server = selection_server
        self._forget = forget

    async def invalidate_keys(self, keys: Sequence[str]) -> int:
        """Remove full keys, of entries or of tags; returns how many there were.

        Raises:
            CacheUnavailableError: Redis did not confirm, and there is no delivery.
        """
        return await self._invalidate_keys(keys, Budget(self._store.server.timeout))

    async def _invalidate_keys(self, keys: Sequence[str], budget: Budget) -> int:
        removed = await self._remove_or_defer(
            keys, lambda: self._store.invalidate(keys, budget), self._store.server.confirmation()
        )
        return removed or 0

    async def invalidate_selection(
        self, selection: Selection, *, keys_per_second: float | None = None
    ) -> int | None:
        """Remove the keys of a selection, at most so many a second.

        Returns:
            How many there were; None if that is not known, as Redis did not confirm.

        Raises:
            CacheUnavailableError: Redis did not confirm, and there is no delivery.
        """
        return await self._remove_or_defer(
            [selection],
            lambda: unlink(self._selection_server, selection, keys_per_second=keys_per_second),
            self._selection_server.confirmation(),
        )

    async def invalidate_all(self, invalidations: Sequence[Invalidation]) -> int | None:
        """Remove keys and selections, within one budget for all.

        Returns:
            How many keys the selections had; None if that is not known, as Redis did not confirm.

        Raises:
            CacheUnavailableError: Redis did not confirm, and there is no delivery.
        """
        selections = [item for item in invalidations if isinstance(item, Selection)]
        keys = [item for item in invalidations if isinstance(item, str)]
        server, budget = self._selection_server, Budget(self._store.server.timeout)
        try:
            if keys:
                await self._invalidate_keys(keys, budget)
        except asyncio.CancelledError:
            if self._delivery is not None:
                self._delivery.defer(selections)
            raise
        if not selections:
            return None
        return await self._remove_or_defer(
            selections,
            lambda: unlink(server, *selections, budget=budget if self._delivery is not None else None),
            server.confirmation(),
        )

    def defer(self, invalidations: Sequence[Invalidation]) -> None:
        """Invalidate in the background; this process does not read the cache before Redis has confirmed."""
        self._forget(invalidations)
        if self._delivery is None:
            self._outbox.defer(invalidations)
        else:
            self._delivery.defer(invalidations)

    async def _remove_or_defer(
        self,
        what: Sequence[Invalidation],
        remove: Callable[[], Awaitable[int]],
        confirmation: Confirmation,
    ) -> int | None:
        """Remove, and return how many there were; None if Redis did not confirm, and it was deferred."""
        try:
            with self._store.server.errors_as_unavailable():
                removed = await remove()
            server = confirmation.server()
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
        self._outbox.remember(what, server)
        return removed
