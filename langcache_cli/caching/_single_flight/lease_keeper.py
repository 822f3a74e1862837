"""Prolonging leases while their event loop is blocked: by a model, a parser, or anything else that does not await.

The timer of `LeaseRenewal` cannot run then. A thread with an event loop and a connection of its own watches the
loads of one event loop, and renews what that loop has not. It lives only while there are loads, and connects only
when a loop is late.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Protocol

from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._protocol.store import Lease, Store

LATE = 1.5
"""A loop that has missed its renewal by half an interval is blocked."""

IDLE_ROUNDS = 10
"""The thread ends after so many rounds without loads."""


class Kept(Protocol):
    """Leases of a load under way."""

    renewed_at: float
    """When they were last renewed, by `time.monotonic`."""

    ends_at: float
    """When they must no longer be renewed."""

    @property
    def leases(self) -> Sequence[Lease]:
        """The leases."""
        ...


class LeaseKeeper:
    """The watch over the loads of one event loop. Its methods are called from that loop."""

    def __init__(self, new_store: Callable[[], Store], *, interval: float) -> None:
        """Prepare; no thread is started before the first load.

        Args:
            new_store: Makes a store for the event loop of the thread.
            interval: Seconds between the renewals of a loop that is not blocked.
        """
        self._new_store = new_store
        self._interval = interval
        self._kept: dict[int, Kept] = {}
        self._thread: threading.Thread | None = None

    def add(self, kept: Kept) -> None:
        """Watch a load; at a child of a fork, too, which has no thread yet."""
        self._kept[id(kept)] = kept
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="langcache-leases", daemon=True)
            self._thread.start()

    def remove(self, kept: Kept) -> None:
        """The load has ended."""
        self._kept.pop(id(kept), None)

    def _run(self) -> None:
        asyncio.run(self._keep())

    async def _keep(self) -> None:
        store: Store | None = None
        idle_rounds = 0
        try:
            while idle_rounds < IDLE_ROUNDS:
                await asyncio.sleep(self._interval / 2)
                idle_rounds = 0 if self._kept else idle_rounds + 1
                late = self._late()
                if late:
                    store = store or self._new_store()
                    await self._renew(store, late)
            self._thread = (
                None  # from here on `add` starts another one; what it added until now, `_late` found
            )
        finally:
            for task in store.node.abandon() if store is not None else ():
                task.cancel()

    def _late(self) -> list[Kept]:
        now = monotonic()
        return [
            kept
            for kept in tuple(self._kept.values())
            if kept.renewed_at + LATE * self._interval < now < kept.ends_at
        ]

    async def _renew(self, store: Store, late: Sequence[Kept]) -> None:
        with contextlib.suppress(CacheError):  # the next round tries again
            await store.renew([lease for kept in late for lease in kept.leases])
            for kept in late:
                kept.renewed_at = monotonic()
